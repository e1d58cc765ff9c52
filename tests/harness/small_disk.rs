//! A file system that is soon full.

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// 1 MiB, until it is dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts it on `dir`, which is made. Takes root.
    pub fn mount(dir: &Path) -> Self {
        fs::create_dir_all(dir).unwrap();
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(Some("small"), dir, Some("tmpfs"), flags, Some("size=1m")).unwrap();
        Self(dir.to_owned())
    }

    pub fn dir(&self) -> &Path {
        &self.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        umount2(&self.0, MntFlags::MNT_DETACH).unwrap();
    }
}
