use std::ffi::CString;
use std::io;
use std::path::PathBuf;

use launch::{Mount, MountSource};

use crate::failure::{Failure, Step};

/// A mount of a workload's that can't be made, with its name.
#[derive(Debug, thiserror::Error)]
pub enum MountFailure {
    /// A file of the host's can't be mounted.
    #[error("can't mount {}", path.display())]
    Source {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing can be mounted on a path of the root.
    #[error("can't mount on {} in the image", path.to_string_lossy())]
    Point {
        /// The path.
        path: CString,
        /// Why.
        source: io::Error,
    },
}

impl MountFailure {
    /// What `failure` is about, if it is about one of `mounts`, which are those of the workload.
    pub fn of(failure: Failure, mounts: &[Mount]) -> Option<Self> {
        let (Step::MountSource(index) | Step::Mount(index)) = failure.step else {
            return None;
        };
        let mount = mounts.get(usize::from(index))?;
        let source = io::Error::from_raw_os_error(failure.errno);
        Some(match (&mount.source, failure.step) {
            (MountSource::Bind(path), Step::MountSource(_)) => Self::Source {
                path: path.clone(),
                source,
            },
            _ => Self::Point {
                path: mount.target.as_c_str().to_owned(),
                source,
            },
        })
    }

    /// What the user can do about it, where that is known.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Source { .. } => {
                Some("name a file or directory that is there and that you may read")
            }
            Self::Point { source, .. } => match source.raw_os_error()? {
                libc::ELOOP => {
                    Some("choose a path that no link of the image leads into /proc or in circles")
                }
                libc::EBUSY => Some("choose a path that no link of the image leads to /"),
                libc::ENOTDIR => Some("mount a directory on a directory, and a file on a file"),
                libc::EROFS => Some("choose a path that exists, or that can be made"),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use launch::MountPoint;

    use super::*;

    fn told(step: Step) -> Option<String> {
        let mount = |source| Mount {
            source,
            target: MountPoint::new(b"/inside").unwrap(),
            read_only: false,
        };
        let mounts = [
            mount(MountSource::Bind("/outside".into())),
            mount(MountSource::Anonymous),
        ];
        let errno = libc::ENOENT;
        MountFailure::of(Failure { step, errno }, &mounts).map(|told| told.to_string())
    }

    #[test]
    fn a_mount_is_called_by_the_path_that_can_not_be_used() {
        for (step, expected) in [
            (Step::MountSource(0), Some("can't mount /outside")),
            (Step::Mount(0), Some("can't mount on /inside in the image")),
            (
                Step::MountSource(1),
                Some("can't mount on /inside in the image"),
            ),
            // As a hostile guest may tell it.
            (Step::Mount(2), None),
            (Step::Pivot, None),
        ] {
            assert_eq!(told(step).as_deref(), expected, "{step:?}");
        }
    }
}
