//! What is mounted and made between a fresh mount namespace and `pivot_root`, as data: so its
//! order can be tested without the right to mount anything.

use std::ffi::CStr;

use launch::Command;

use crate::devices::{self, DeviceNodes};
use crate::failure::Step;
use crate::masks::{self, Cover};
use crate::working_directory::WorkingDirectory;

/// One thing that is done to the new root. All paths are relative to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Mounts a file system of the kernel's, on a directory that is made if it is missing.
    Mount(Filesystem),
    /// Makes a device node in `/dev`.
    Node {
        /// Its name.
        name: &'static CStr,
        /// Its number.
        device: libc::dev_t,
    },
    /// Binds a device node of the caller's to the same name in `/dev`.
    BorrowedNode {
        /// Its name.
        name: &'static CStr,
        /// Its path where the caller is.
        source: &'static CStr,
    },
    /// Makes a symbolic link in `/dev`.
    Link {
        /// Its name.
        name: &'static CStr,
        /// Where it leads.
        target: &'static CStr,
    },
    /// Hides a path or makes it read-only, if it exists.
    Cover {
        /// Its place in the list, for [`Step::Mask`].
        index: u8,
        /// The path.
        path: &'static CStr,
        /// Which of the two.
        cover: Cover,
    },
    /// Makes the working directory if it is missing.
    WorkingDirectory(WorkingDirectory),
    /// Makes the root read-only, but nothing that is mounted on it.
    ReadOnlyRoot,
}

/// A file system that is a kernel's own: it has no device, and needs no path to be mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filesystem {
    /// What its failure is called.
    pub(crate) step: Step,
    /// Its type, as in `/proc/filesystems`.
    pub(crate) kind: &'static CStr,
    /// Options of its own, names and values.
    pub(crate) options: &'static [(&'static CStr, &'static CStr)],
    /// `MOUNT_ATTR_*`.
    pub(crate) attributes: u64,
    /// The directory that holds the mount point; it is there already.
    pub(crate) parent: &'static CStr,
    /// The mount point's name in it.
    pub(crate) name: &'static CStr,
}

pub(crate) const NO_SUID: u64 = libc::MOUNT_ATTR_NOSUID;
pub(crate) const NO_SUID_EXEC: u64 = NO_SUID | libc::MOUNT_ATTR_NOEXEC;
pub(crate) const NO_SUID_EXEC_DEV: u64 = NO_SUID_EXEC | libc::MOUNT_ATTR_NODEV;

const PROC: Filesystem = Filesystem {
    step: Step::Proc,
    kind: c"proc",
    options: &[],
    attributes: NO_SUID_EXEC_DEV,
    parent: c".",
    name: c"proc",
};

const SYS: Filesystem = Filesystem {
    step: Step::Sys,
    kind: c"sysfs",
    options: &[],
    attributes: NO_SUID_EXEC_DEV | libc::MOUNT_ATTR_RDONLY,
    parent: c".",
    name: c"sys",
};

/// All that is done to the root, in order.
pub(crate) fn plan(command: &Command, nodes: DeviceNodes, read_only: bool) -> Vec<Action> {
    let mut actions = vec![Action::Mount(PROC), Action::Mount(SYS)];
    actions.extend(devices::actions(nodes));
    // Masks lie on what is in /proc and /sys, and `/dev/null` is what hides a file: so after all
    // three.
    actions.extend(masks::actions());
    // What is missing is made before the root becomes read-only.
    actions.push(Action::WorkingDirectory(WorkingDirectory::new(
        command.cwd(),
    )));
    if read_only {
        actions.push(Action::ReadOnlyRoot);
    }
    actions
}

#[cfg(test)]
mod tests {
    use launch::Credentials;

    use super::*;

    fn planned(nodes: DeviceNodes, read_only: bool) -> Vec<Action> {
        let command = Command::new(["true"], [], "/work", Credentials::default()).unwrap();
        plan(&command, nodes, read_only)
    }

    fn position(actions: &[Action], wanted: impl Fn(&Action) -> bool) -> usize {
        actions.iter().position(wanted).unwrap()
    }

    fn mounts(actions: &[Action]) -> Vec<String> {
        actions
            .iter()
            .filter_map(|action| match action {
                Action::Mount(fs) => Some(format!(
                    "{} on {}/{}",
                    fs.kind.to_str().unwrap(),
                    fs.parent.to_str().unwrap(),
                    fs.name.to_str().unwrap()
                )),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn file_systems_are_mounted_outside_in() {
        for nodes in [DeviceNodes::Made, DeviceNodes::Borrowed] {
            assert_eq!(
                mounts(&planned(nodes, false)),
                [
                    "proc on ./proc",
                    "sysfs on ./sys",
                    "tmpfs on ./dev",
                    "devpts on dev/pts",
                    "tmpfs on dev/shm",
                    "mqueue on dev/mqueue",
                ]
            );
        }
    }

    #[test]
    fn nothing_is_hidden_before_there_is_a_dev_null_to_hide_it_with() {
        let actions = planned(DeviceNodes::Made, false);
        let null = position(
            &actions,
            |action| matches!(action, Action::Node { name, .. } if *name == c"null"),
        );
        let cover = position(&actions, |action| matches!(action, Action::Cover { .. }));
        assert!(null < cover);
    }

    #[test]
    fn nothing_is_done_to_the_root_once_it_is_read_only() {
        let actions = planned(DeviceNodes::Made, true);
        assert_eq!(actions.last(), Some(&Action::ReadOnlyRoot));
        assert!(!planned(DeviceNodes::Made, false).contains(&Action::ReadOnlyRoot));
    }

    #[test]
    fn in_a_user_namespace_no_device_node_is_made() {
        let actions = planned(DeviceNodes::Borrowed, false);
        assert!(
            !actions
                .iter()
                .any(|action| matches!(action, Action::Node { .. }))
        );
    }

    #[test]
    fn no_file_system_but_dev_lets_programs_or_device_nodes_in() {
        for action in planned(DeviceNodes::Made, false) {
            if let Action::Mount(fs) = action {
                assert_ne!(fs.attributes & libc::MOUNT_ATTR_NOSUID, 0, "{:?}", fs.name);
                let open = fs.attributes & libc::MOUNT_ATTR_NOEXEC == 0;
                assert_eq!(open, fs.name == c"dev", "{:?}", fs.name);
            }
        }
    }
}
