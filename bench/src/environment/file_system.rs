use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::stat::{major, minor};
use serde::{Deserialize, Serialize};

/// What a file system is, and what it is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSystem {
    /// Its type: `ext4`, `tmpfs`.
    pub kind: String,
    /// The device, or what stands for one.
    pub device: String,
    /// The options that it is mounted with.
    pub options: String,
}

impl FileSystem {
    /// That of this file; `None` if the kernel does not tell.
    pub fn of(path: &Path) -> Option<Self> {
        let device = fs::metadata(path).ok()?.dev();
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        Self::find(&mounts, major(device), minor(device))
    }

    /// Of proc_pid_mountinfo(5): two numbers, MAJOR:MINOR, root, mount point, options, any number of
    /// fields, a hyphen, type, device and options.
    fn find(mountinfo: &str, major: u64, minor: u64) -> Option<Self> {
        let number = format!("{major}:{minor}");
        mountinfo.lines().find_map(|line| {
            let mut words = line.split(' ');
            if words.nth(2)? != number {
                return None;
            }
            let options = words.nth(2)?;
            let mut behind = words.skip_while(|word| *word != "-").skip(1);
            Some(Self {
                kind: behind.next()?.to_owned(),
                device: behind.next()?.to_owned(),
                options: options.to_owned(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_is_found_by_its_number() {
        let mountinfo = "\
            22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro\n\
            30 22 0:26 / /run rw,nosuid - tmpfs tmpfs rw,mode=755\n";
        let found = FileSystem::find(mountinfo, 0, 26).unwrap();
        let words = [found.kind, found.device, found.options];
        assert_eq!(words, ["tmpfs", "tmpfs", "rw,nosuid"]);
        let found = FileSystem::find(mountinfo, 254, 1).unwrap();
        let words = [found.kind, found.device, found.options];
        assert_eq!(words, ["ext4", "/dev/vda1", "rw,relatime"]);
        assert_eq!(FileSystem::find(mountinfo, 254, 2), None);
        assert_eq!(FileSystem::find("22 1\n", 254, 2), None);
    }

    #[test]
    fn that_of_this_host_is_known() {
        assert!(FileSystem::of(Path::new("/proc")).is_some_and(|found| found.kind == "proc"));
    }
}
