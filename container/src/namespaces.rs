use std::ffi::CStr;
use std::fs;
use std::os::unix::fs::MetadataExt;

use entry::{Failure, Ids, Privileges, Step};
use host::user_namespace;
use launch::Credentials;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{getegid, geteuid, write};

use crate::capabilities;
use crate::network::NetworkNamespace;
use crate::procfs::Procfs;

/// Inode of the first user namespace's file in `/proc/PID/ns`, `PROC_USER_INIT_INO` of
/// `include/linux/proc_ns.h`.
const INITIAL_USER_NAMESPACE_INODE: u64 = 0xEFFF_FFFD;

/// What the caller may do. Root of a user namespace that somebody else made may not make device
/// nodes and the like: it is an ordinary user here.
pub(crate) fn privileges() -> Privileges {
    let is_initial = fs::metadata("/proc/self/ns/user")
        .is_ok_and(|namespace| namespace.ino() == INITIAL_USER_NAMESPACE_INODE);
    if geteuid().is_root() && is_initial {
        return Privileges::Root;
    }
    // Rights over the namespace that it is in go with it: it can do without another one.
    let ids = if user_namespace::has_many_ids() && capabilities::may_administrate() {
        Ids::Many
    } else {
        Ids::One
    };
    Privileges::UserNamespace(ids)
}

/// The namespaces of one container.
pub(crate) struct Namespaces {
    /// Of a new user namespace, if there is to be one.
    mapping: Option<UserMapping>,
    network: NetworkNamespace,
}

/// The lines that make the caller's user and group those of the command, and everyone else
/// nobody. More can't be mapped without the help of a set-user-ID program.
struct UserMapping {
    uid_map: String,
    gid_map: String,
}

impl Namespaces {
    pub(crate) fn new(
        privileges: Privileges,
        credentials: &Credentials,
        network: NetworkNamespace,
    ) -> Self {
        let mapping = match privileges {
            // The one that the caller is in is as good, and needs nobody to wait for its maps.
            Privileges::Root | Privileges::UserNamespace(Ids::Many) => None,
            Privileges::UserNamespace(Ids::One) => Some(UserMapping {
                uid_map: format!("{} {} 1", credentials.uid, geteuid()),
                gid_map: format!("{} {} 1", credentials.gid, getegid()),
            }),
        };
        Self { mapping, network }
    }

    /// Those that clone3(2) makes.
    pub(crate) fn clone_flags(&self) -> CloneFlags {
        let mut flags = CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC;
        if self.has_new_network() {
            flags |= CloneFlags::CLONE_NEWNET;
        }
        match self.mapping {
            Some(_) => flags | CloneFlags::CLONE_NEWUSER,
            None => flags,
        }
    }

    /// Whether the network namespace is new, so that all in it is still to be done.
    pub(crate) fn has_new_network(&self) -> bool {
        matches!(self.network, NetworkNamespace::New)
    }

    /// Does in the child what has to be done there. Makes system calls and nothing else.
    pub(crate) fn complete(&self) -> Result<(), Failure> {
        if let Some(mapping) = &self.mapping {
            mapping
                .apply()
                .map_err(|errno| failure(Step::UserMapping, errno))?;
        }
        if let NetworkNamespace::Made(namespace) = &self.network {
            setns(namespace, CloneFlags::CLONE_NEWNET)
                .map_err(|errno| failure(Step::NetworkNamespace, errno))?;
        }
        // Not made by clone3: its root is the cgroup that the process is in when it is made, and
        // only now that is the container's.
        unshare(CloneFlags::CLONE_NEWCGROUP).map_err(|errno| failure(Step::CgroupNamespace, errno))
    }
}

impl UserMapping {
    fn apply(&self) -> Result<(), Errno> {
        // user_namespaces(7): without this an ordinary user may not write gid_map.
        let proc = Procfs::open()?;
        write_file(&proc, c"self/setgroups", b"deny")?;
        write_file(&proc, c"self/gid_map", self.gid_map.as_bytes())?;
        write_file(&proc, c"self/uid_map", self.uid_map.as_bytes())
    }
}

fn write_file(proc: &Procfs, path: &CStr, bytes: &[u8]) -> Result<(), Errno> {
    let file = proc.file(path, OFlag::O_WRONLY)?;
    // These files take all or nothing.
    write(&file, bytes).map(drop)
}

pub(crate) fn failure(step: Step, errno: Errno) -> Failure {
    Failure {
        step,
        errno: errno as i32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_has_no_other_ids_needs_another_user_namespace() {
        for (privileges, expected) in [
            (Privileges::Root, false),
            (Privileges::UserNamespace(Ids::Many), false),
            (Privileges::UserNamespace(Ids::One), true),
        ] {
            let namespaces =
                Namespaces::new(privileges, &Credentials::default(), NetworkNamespace::New);
            let flags = namespaces.clone_flags();
            assert_eq!(flags.contains(CloneFlags::CLONE_NEWUSER), expected);
        }
    }

    #[test]
    fn the_callers_user_becomes_the_commands() {
        let credentials = Credentials {
            uid: 7,
            gid: 8,
            groups: Vec::new(),
        };
        let namespaces = Namespaces::new(
            Privileges::UserNamespace(Ids::One),
            &credentials,
            NetworkNamespace::New,
        );
        let mapping = namespaces.mapping.unwrap();
        assert_eq!(mapping.uid_map, format!("7 {} 1", geteuid()));
        assert_eq!(mapping.gid_map, format!("8 {} 1", getegid()));
    }
}
