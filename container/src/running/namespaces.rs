use std::fs;
use std::io;

use nix::sched::CloneFlags;

/// Their names in `/proc/PID/ns`, `namespaces(7)`.
const KINDS: [(&str, CloneFlags); 7] = [
    ("user", CloneFlags::CLONE_NEWUSER),
    ("mnt", CloneFlags::CLONE_NEWNS),
    ("pid", CloneFlags::CLONE_NEWPID),
    ("uts", CloneFlags::CLONE_NEWUTS),
    ("ipc", CloneFlags::CLONE_NEWIPC),
    ("net", CloneFlags::CLONE_NEWNET),
    ("cgroup", CloneFlags::CLONE_NEWCGROUP),
];

/// Those of the process `pid` that are not this process's own. To enter one's own takes rights
/// that an ordinary user has not got, and a user namespace can't be entered twice.
pub(super) fn other_than_ours(pid: i32) -> io::Result<CloneFlags> {
    let mut other = CloneFlags::empty();
    for (name, flag) in KINDS {
        let of = |process: &str| fs::read_link(format!("/proc/{process}/ns/{name}"));
        if of(&pid.to_string())? != of("self")? {
            other |= flag;
        }
    }
    Ok(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_in_its_own_namespaces() {
        let pid = std::process::id().cast_signed();
        assert_eq!(other_than_ours(pid).unwrap(), CloneFlags::empty());
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        assert!(other_than_ours(-1).is_err());
    }
}
