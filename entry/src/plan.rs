//! What is mounted and made for any root, as data: so its order can be tested without the right
//! to mount anything.

use std::borrow::Cow;

use crate::action::{Action, Filesystem, NO_SUID_EXEC_DEV, Parent};
use crate::devices;
use crate::failure::Step;
use crate::masks::{self, Cover};
use crate::privileges::Privileges;

const PROC: Filesystem = Filesystem {
    step: Step::Proc,
    kind: c"proc",
    options: &[],
    attributes: NO_SUID_EXEC_DEV,
    parent: Parent::Stage,
    name: c"proc",
};

const SYS: Filesystem = Filesystem {
    step: Step::Sys,
    kind: c"sysfs",
    options: &[],
    attributes: NO_SUID_EXEC_DEV | libc::MOUNT_ATTR_RDONLY,
    parent: Parent::Stage,
    name: c"sys",
};

/// Where `/sys` comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sysfs {
    /// It is mounted, and shows the network namespace that the caller is in.
    New,
    /// It is the one that the caller has, read-only: to mount a new one takes rights over the
    /// network namespace that the caller is in.
    Borrowed,
}

/// Where a root has what is planned here.
pub(crate) const TOP_LEVEL: [&Filesystem; 3] = [&PROC, &SYS, &devices::DEV];

/// All that is done, in order.
pub(crate) fn plan(privileges: Privileges, sysfs: Sysfs) -> Vec<Action> {
    let sys = match sysfs {
        Sysfs::New => Action::Mount(SYS),
        Sysfs::Borrowed => Action::BorrowedTree {
            source: c"/sys",
            filesystem: SYS,
        },
    };
    let mut actions = vec![Action::Mount(PROC), sys];
    actions.extend(devices::actions(privileges));
    // Masks lie on what is in /proc and /sys, and `/dev/null` is what hides a file: so after all
    // three.
    actions.extend(
        masks::COVERED
            .into_iter()
            .zip(0..)
            .map(|((path, cover), index)| Action::Cover {
                index,
                path: Cow::Borrowed(path),
                cover,
            }),
    );
    actions.extend(masks::of_each_cpu().into_iter().map(|path| Action::Cover {
        index: masks::EACH_CPU,
        path: Cow::Owned(path),
        cover: Cover::Hidden,
    }));
    actions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privileges::Ids;

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
                    match fs.parent {
                        Parent::Stage => ".",
                        Parent::Dev => "dev",
                    },
                    fs.name.to_str().unwrap()
                )),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn file_systems_are_mounted_outside_in() {
        for privileges in [
            Privileges::Root,
            Privileges::UserNamespace(Ids::One),
            Privileges::UserNamespace(Ids::Many),
        ] {
            assert_eq!(
                mounts(&plan(privileges, Sysfs::New)),
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
        let actions = plan(Privileges::Root, Sysfs::New);
        let null = position(
            &actions,
            |action| matches!(action, Action::Node { name, .. } if *name == c"null"),
        );
        let cover = position(&actions, |action| matches!(action, Action::Cover { .. }));
        assert!(null < cover);
    }

    #[test]
    fn all_is_below_what_is_moved_into_the_root() {
        for mount in mounts(&plan(Privileges::Root, Sysfs::New)) {
            let (_, point) = mount.split_once(" on ").unwrap();
            let top = point.trim_start_matches("./").split('/').next().unwrap();
            let is_moved = |top_level: &Filesystem| top_level.name.to_bytes() == top.as_bytes();
            assert!(TOP_LEVEL.into_iter().any(is_moved), "{mount}");
        }
    }

    #[test]
    fn in_a_user_namespace_no_device_node_is_made() {
        let actions = plan(Privileges::UserNamespace(Ids::Many), Sysfs::New);
        assert!(
            !actions
                .iter()
                .any(|action| matches!(action, Action::Node { .. }))
        );
    }

    #[test]
    fn no_file_system_but_dev_lets_programs_in_and_none_device_nodes() {
        for action in plan(Privileges::Root, Sysfs::New) {
            if let Action::Mount(fs) = action {
                // The nodes of devpts are its own: none can be made in it.
                let nodes = fs.attributes & libc::MOUNT_ATTR_NODEV == 0;
                assert_eq!(nodes, fs.name == c"pts", "{:?}", fs.name);
                assert_ne!(fs.attributes & libc::MOUNT_ATTR_NOSUID, 0, "{:?}", fs.name);
                let open = fs.attributes & libc::MOUNT_ATTR_NOEXEC == 0;
                assert_eq!(open, fs.name == c"dev", "{:?}", fs.name);
            }
        }
    }
}
