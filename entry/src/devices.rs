//! `/dev`: docker's minimal one.

use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

use crate::action::{Action, Filesystem, NO_SUID_DEV, NO_SUID_EXEC, NO_SUID_EXEC_DEV, Parent};
use crate::failure::Step;
use crate::privileges::Privileges;
use crate::syscall::{self, Result};

/// Where the device nodes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceNodes {
    /// They are made, where no command sees it. Not borrowed: root could change the caller's.
    Made,
    /// They are bound from the caller's `/dev`: a user namespace has no right to make any.
    Borrowed,
}

impl From<Privileges> for DeviceNodes {
    fn from(privileges: Privileges) -> Self {
        match privileges {
            Privileges::Root => Self::Made,
            Privileges::UserNamespace(_) => Self::Borrowed,
        }
    }
}

struct Node {
    name: &'static CStr,
    source: &'static CStr,
    major: u32,
    minor: u32,
}

const fn node(name: &'static CStr, source: &'static CStr, major: u32, minor: u32) -> Node {
    Node {
        name,
        source,
        major,
        minor,
    }
}

// Numbers of Documentation/admin-guide/devices.txt of the kernel.

const NULL: Node = node(c"null", c"/dev/null", 1, 3);

const NODES: [Node; 6] = [
    NULL,
    node(c"zero", c"/dev/zero", 1, 5),
    node(c"full", c"/dev/full", 1, 7),
    node(c"random", c"/dev/random", 1, 8),
    node(c"urandom", c"/dev/urandom", 1, 9),
    node(c"tty", c"/dev/tty", 5, 0),
];

/// Whether the file is a null device, wherever its node is.
pub(crate) fn is_null(file: BorrowedFd<'_>) -> Result<bool> {
    Ok(syscall::character_device(file)? == Some(number(&NULL)))
}

/// Opens the null device of `dev`; `mode` is `O_RDONLY` or one of its like.
pub(crate) fn open_null(dev: BorrowedFd<'_>, mode: libc::c_int) -> Result<OwnedFd> {
    syscall::open_file_in_root(dev, NULL.name, mode)
}

/// Makes one in `dev`, which takes the right to make device nodes, and no umask.
pub(crate) fn make_null(dev: BorrowedFd<'_>) -> Result<()> {
    syscall::make_node(dev, NULL.name, libc::S_IFCHR | 0o666, number(&NULL))
}

const fn number(node: &Node) -> libc::dev_t {
    libc::makedev(node.major, node.minor)
}

const LINKS: [(&CStr, &CStr); 5] = [
    (c"fd", c"/proc/self/fd"),
    (c"stdin", c"/proc/self/fd/0"),
    (c"stdout", c"/proc/self/fd/1"),
    (c"stderr", c"/proc/self/fd/2"),
    (c"ptmx", c"pts/ptmx"),
];

/// No device node that is made in it works: the command may make any, the host's disk too.
pub(crate) const DEV: Filesystem = Filesystem {
    step: Step::Dev,
    kind: c"tmpfs",
    options: &[(c"mode", c"755"), (c"size", c"65536k")],
    attributes: NO_SUID_DEV | libc::MOUNT_ATTR_STRICTATIME,
    parent: Parent::Stage,
    name: c"dev",
};

/// Group 5 is `tty` in every distribution, and the group that `grantpt(3)` wants.
const PTS: Filesystem = Filesystem {
    step: Step::DevPts,
    kind: c"devpts",
    options: &[(c"ptmxmode", c"0666"), (c"mode", c"0620"), (c"gid", c"5")],
    attributes: NO_SUID_EXEC,
    parent: Parent::Dev,
    name: c"pts",
};

/// Where the only group is the caller's, there is no group 5.
const PTS_WITHOUT_GROUP: Filesystem = Filesystem {
    options: &[(c"ptmxmode", c"0666"), (c"mode", c"0620")],
    ..PTS
};

const SHM: Filesystem = Filesystem {
    step: Step::DevShm,
    kind: c"tmpfs",
    options: &[(c"mode", c"1777"), (c"size", c"65536k")],
    attributes: NO_SUID_EXEC_DEV,
    parent: Parent::Dev,
    name: c"shm",
};

const MQUEUE: Filesystem = Filesystem {
    step: Step::DevMqueue,
    kind: c"mqueue",
    options: &[],
    attributes: NO_SUID_EXEC_DEV,
    parent: Parent::Dev,
    name: c"mqueue",
};

/// Makes `/dev` and all that is in it.
pub(crate) fn actions(privileges: Privileges) -> impl Iterator<Item = Action> {
    let pts = match privileges.has_many_ids() {
        true => PTS,
        false => PTS_WITHOUT_GROUP,
    };
    let nodes = privileges.into();
    let node = move |node: &Node| match nodes {
        DeviceNodes::Made => Action::Node {
            name: node.name,
            device: number(node),
        },
        DeviceNodes::Borrowed => Action::BorrowedNode {
            name: node.name,
            source: node.source,
        },
    };
    let link = |&(name, target): &_| Action::Link { name, target };
    [Action::NodeStore, Action::Mount(DEV)]
        .into_iter()
        .chain(NODES.iter().map(node))
        .chain(LINKS.iter().map(link))
        .chain([pts, SHM, MQUEUE].map(Action::Mount))
}
