//! The host's files that a guest may use, from inside of the jail.
//!
//! From a directory's descriptor `..` leads to the root that it was opened below, whatever the
//! process's own root is. So each share becomes a mount of its own that is attached nowhere: there
//! is nothing above it.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, StatxFlags, readlink, statx};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};

use super::{Jail, JailError};

impl Jail {
    /// What `root`, opened with `O_PATH` before this jail was entered, is, with all that is mounted
    /// below it now.
    ///
    /// # Errors
    ///
    /// When it is not at its path any more.
    pub fn detach(&self, root: BorrowedFd<'_>, read_only: bool) -> Result<OwnedFd, JailError> {
        let detach = || -> Result<OwnedFd, Errno> {
            // A descriptor's mount is one of the namespace that was left, and can't be cloned here.
            let path = readlink(own_path(root), Vec::new())?;
            let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::AT_RECURSIVE;
            let tree = clone(&path, flags | OpenTreeFlags::AT_SYMLINK_NOFOLLOW)?;
            if !is_same(root, tree.as_fd())? {
                return Err(Errno::STALE);
            }
            restrict(tree.as_fd(), read_only)?;
            Ok(tree)
        };
        detach().map_err(JailError::at("take along what is shared"))
    }

    /// `/proc/self/fd`, and nothing else of `/proc`.
    ///
    /// # Errors
    ///
    /// When there is no `/proc`.
    pub fn own_descriptors(&self) -> Result<OwnedFd, JailError> {
        clone(c"/proc/self/fd", OpenTreeFlags::OPEN_TREE_CLONE)
            .map_err(JailError::at("take along its descriptors"))
    }
}

fn own_path(file: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

fn clone(path: impl AsRef<CStr>, flags: OpenTreeFlags) -> Result<OwnedFd, Errno> {
    open_tree(CWD, path.as_ref(), flags | OpenTreeFlags::OPEN_TREE_CLOEXEC)
}

fn is_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Result<bool, Errno> {
    let look = |file| statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::INO);
    let (one, other) = (look(one)?, look(other)?);
    let device = |found: &rustix::fs::Statx| (found.stx_dev_major, found.stx_dev_minor);
    Ok(device(&one) == device(&other) && one.stx_ino == other.stx_ino)
}

/// Keeps what is mounted on the host from now on away, and a read-only share from being written to
/// whatever becomes of the monitor.
fn restrict(tree: BorrowedFd<'_>, read_only: bool) -> Result<(), Errno> {
    // SAFETY: mount_attr is plain numbers, for which all zero is valid.
    let mut wanted: libc::mount_attr = unsafe { std::mem::zeroed() };
    wanted.propagation = libc::MS_PRIVATE;
    wanted.attr_set = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;
    if read_only {
        wanted.attr_set |= libc::MOUNT_ATTR_RDONLY;
    }
    // SAFETY: the path is an empty C string; `wanted` lives through the call, with its own size.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &raw const wanted,
            size_of::<libc::mount_attr>(),
        )
    };
    match done {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}
