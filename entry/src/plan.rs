//! What is mounted and made between a fresh mount namespace and `pivot_root`, as data: so its
//! order can be tested without the right to mount anything.

use launch::Command;

use crate::action::{Action, Filesystem, NO_SUID_EXEC_DEV};
use crate::devices::{self, DeviceNodes};
use crate::failure::Step;
use crate::masks;
use crate::working_directory::WorkingDirectory;

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
    actions.extend(
        masks::COVERED
            .into_iter()
            .zip(0..)
            .map(|((path, cover), index)| Action::Cover { index, path, cover }),
    );
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
