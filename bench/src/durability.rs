//! Where it is that a command reads and writes, and what becomes of it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use launch::{Mount, MountSource, Side, Workload};
use serde::{Deserialize, Serialize};

/// Whose memory files of the image are read from, and what a write to the working directory is worth,
/// on one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durability {
    /// Of which side.
    pub side: Side,
    /// Files of the image.
    pub image: ImageCache,
    /// The working directory.
    pub writes: Writes,
}

/// Whose page cache stands between a command and a file of its image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageCache {
    /// The host's, which all instances of the image share.
    Host,
    /// The guest's own, which is filled from the host's.
    GuestOverHost,
}

/// What a write to the working directory is worth, and a flush after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Writes {
    /// It is in the instance's memory, and gone with it. A flush has nothing to do.
    Memory,
    /// It is in a file of the host's. A flush is honoured: it waits for the host's file system, of a VM
    /// by way of the monitor.
    HostFile,
    /// Nothing can be written there.
    Nowhere,
}

impl Durability {
    /// Of a workload on both sides.
    pub(crate) fn of(workload: &Workload) -> [Self; 2] {
        let cwd = OsStr::from_bytes(workload.command.cwd().to_bytes());
        let writes = writes(Path::new(cwd), &workload.mounts, workload.root.read_only);
        [
            (Side::Container, ImageCache::Host),
            (Side::Vm, ImageCache::GuestOverHost),
        ]
        .map(|(side, image)| Self {
            side,
            image,
            writes,
        })
    }

    /// In a sentence.
    pub(crate) fn sentence(&self) -> String {
        let image = match self.image {
            ImageCache::Host => "the host's page cache",
            ImageCache::GuestOverHost => "the guest's page cache, which is filled from the host's",
        };
        let writes = match (self.writes, self.side) {
            (Writes::Memory, Side::Container) => {
                "what is written is in memory that the container is charged, and fsync has nothing to do"
            }
            (Writes::Memory, Side::Vm) => {
                "what is written is in the guest's memory, and fsync has nothing to do"
            }
            (Writes::HostFile, Side::Container) => {
                "what is written is in the host's page cache, and fsync is honoured: it waits for the \
                 host's file system"
            }
            (Writes::HostFile, Side::Vm) => {
                "what is written goes to the monitor and is in the host's page cache, and fsync is \
                 honoured: the monitor waits for the host's file system"
            }
            (Writes::Nowhere, _) => "nothing can be written",
        };
        format!(
            "{}: files of the image are read from {image}; {writes}.",
            self.side
        )
    }
}

/// What is at the working directory.
fn writes(cwd: &Path, mounts: &[Mount], is_root_read_only: bool) -> Writes {
    let around = mounts
        .iter()
        .filter(|mount| cwd.starts_with(mount.target.as_path()));
    // The innermost, and of those at the same place the last.
    let at = around.max_by_key(|mount| mount.target.as_path().components().count());
    match at {
        None if is_root_read_only => Writes::Nowhere,
        Some(mount) if mount.read_only => Writes::Nowhere,
        None => Writes::Memory,
        Some(mount) => match mount.source {
            MountSource::Bind(_) => Writes::HostFile,
            MountSource::Tmpfs { .. } | MountSource::Anonymous => Writes::Memory,
        },
    }
}

#[cfg(test)]
mod tests {
    use launch::MountPoint;
    use launch::fake::workload;

    use super::*;

    #[test]
    fn what_a_write_is_worth_depends_on_what_is_mounted_around_the_working_directory() {
        let bind = || MountSource::Bind("/srv".into());
        let tmpfs = || MountSource::Tmpfs {
            size_bytes: None,
            mode: 0o1777,
            executable: false,
        };
        for (mounts, is_read_only, expected) in [
            (vec![], false, Writes::Memory),
            (vec![], true, Writes::Nowhere),
            (vec![("/data", bind(), false)], true, Writes::HostFile),
            (vec![("/data", bind(), true)], false, Writes::Nowhere),
            (vec![("/data", tmpfs(), false)], true, Writes::Memory),
            (vec![("/dat", bind(), false)], false, Writes::Memory),
            (
                vec![("/data/in", tmpfs(), false), ("/data", bind(), false)],
                false,
                Writes::Memory,
            ),
        ] {
            let mount = |(target, source, read_only): (&str, MountSource, bool)| Mount {
                source,
                target: MountPoint::new(target.as_bytes()).unwrap(),
                read_only,
            };
            let mounts: Vec<_> = mounts.into_iter().map(mount).collect();
            let cwd = Path::new("/data/in/x");
            assert_eq!(writes(cwd, &mounts, is_read_only), expected, "{mounts:?}");
        }
    }

    #[test]
    fn each_side_has_a_sentence_of_its_own() {
        let [container, vm] = Durability::of(&workload());
        assert!(
            container
                .sentence()
                .starts_with("container: files of the image are read from the host's")
        );
        assert!(
            vm.sentence()
                .contains("guest's memory, and fsync has nothing to do")
        );
    }
}
