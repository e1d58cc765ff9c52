//! What can be done on the way to a new root, as data.

use std::borrow::Cow;
use std::ffi::CStr;

use crate::failure::Step;
use crate::masks::Cover;

/// One thing that is done below a directory. All paths are relative to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Mounts a file system of the kernel's, on a directory that is made if it is missing.
    Mount(Filesystem),
    /// Binds a mount of the caller's with all that is mounted in it, on a directory that is made,
    /// and makes it read-only.
    BorrowedTree {
        /// Its path where the caller is.
        source: &'static CStr,
        /// What it stands for.
        filesystem: Filesystem,
    },
    /// Makes the directory that holds the device nodes which are bound into `/dev`. No root has
    /// it, and its mount is the only one of ours on which device nodes that are made work.
    NodeStore,
    /// Makes a device node in the store, and binds it to the same name in `/dev`.
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
        path: Cow<'static, CStr>,
        /// Which of the two.
        cover: Cover,
    },
}

/// Where a mount point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parent {
    /// In the stage's directory itself.
    Stage,
    /// In its `dev`.
    Dev,
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
    pub(crate) parent: Parent,
    /// The mount point's name in it.
    pub(crate) name: &'static CStr,
}

pub(crate) const NO_SUID: u64 = libc::MOUNT_ATTR_NOSUID;
pub(crate) const NO_SUID_DEV: u64 = NO_SUID | libc::MOUNT_ATTR_NODEV;
pub(crate) const NO_SUID_EXEC: u64 = NO_SUID | libc::MOUNT_ATTR_NOEXEC;
pub(crate) const NO_SUID_EXEC_DEV: u64 = NO_SUID_EXEC | libc::MOUNT_ATTR_NODEV;
