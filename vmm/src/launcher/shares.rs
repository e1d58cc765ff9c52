//! The host's files among what is mounted: the monitor shares them, and the guest binds them.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use guest_protocol::share_path;
use launch::{Mount, MountSource};

use super::error::Error;
use crate::builder::MAX_DISKS;
use crate::devices::virtio::fs::Share;
use crate::monitor::{MAX_DESCRIPTORS, SharedFile};

/// Descriptors that the monitor gets besides.
const OTHER_DESCRIPTORS: usize = 13 + MAX_DISKS;
/// Most files and directories of the host's that a machine may use.
const MAX_SHARES: usize = MAX_DESCRIPTORS - OTHER_DESCRIPTORS;

/// A file or directory of the host's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostFile {
    path: PathBuf,
    read_only: bool,
}

impl HostFile {
    /// Opened, for the monitor.
    pub(super) fn open(&self) -> Result<SharedFile<OwnedFd>, Error> {
        let share = Share::open(&self.path, self.read_only).map_err(|source| Error::Share {
            path: self.path.clone(),
            source,
        })?;
        Ok(SharedFile {
            root: share.into_root(),
            read_only: self.read_only,
        })
    }
}

/// The host's files that are mounted, and all mounts as the guest makes them.
pub(super) fn of(mounts: &[Mount]) -> Result<(Vec<HostFile>, Vec<Mount>), Error> {
    let mut files = Vec::new();
    let mounts = mounts.iter().cloned().map(|mut mount| {
        if let MountSource::Bind(path) = mount.source {
            mount.source = MountSource::Bind(share_path(files.len()));
            files.push(HostFile {
                path,
                read_only: mount.read_only,
            });
        }
        mount
    });
    let mounts = mounts.collect();
    match files.len() {
        count if count > MAX_SHARES => Err(Error::TooManyShares {
            count,
            most: MAX_SHARES,
        }),
        _ => Ok((files, mounts)),
    }
}

#[cfg(test)]
mod tests {
    use launch::MountPoint;

    use super::*;

    fn mount(source: MountSource, read_only: bool) -> Mount {
        Mount {
            source,
            target: MountPoint::new(b"/m").unwrap(),
            read_only,
        }
    }

    #[test]
    fn the_hosts_files_are_numbered_and_all_else_stays() {
        let host = |path: &str| MountSource::Bind(path.into());
        let given = [
            mount(host("/a"), true),
            mount(MountSource::Anonymous, false),
            mount(host("/b"), false),
        ];
        let (files, mounts) = of(&given).unwrap();
        let file = |path: &str, read_only| HostFile {
            path: path.into(),
            read_only,
        };
        assert_eq!(files, [file("/a", true), file("/b", false)]);
        assert_eq!(
            mounts,
            [
                mount(host("/shares/0"), true),
                mount(MountSource::Anonymous, false),
                mount(host("/shares/1"), false),
            ]
        );
        assert!(of(&vec![mount(host("/a"), true); MAX_SHARES]).is_ok());
        assert!(of(&vec![mount(host("/a"), true); MAX_SHARES + 1]).is_err());
    }

    #[test]
    fn what_can_not_be_shared_is_named() {
        for path in ["/nonexistent", "/dev/null"] {
            let file = HostFile {
                path: path.into(),
                read_only: false,
            };
            let error = file.open().unwrap_err();
            assert!(error.to_string().contains(path), "{error}");
        }
    }
}
