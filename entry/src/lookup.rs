//! The two ways in which a path of a root is opened, only to name what is there. None leads out of
//! the root.

use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

use crate::syscall::{self, Result};

/// One that is ours: what something is mounted on or made in. A link on the way there is an error:
/// nothing that is ours lies behind one. `flags` are further ones of open(2).
pub(crate) fn without_links(
    root: BorrowedFd<'_>,
    path: &CStr,
    flags: libc::c_int,
) -> Result<OwnedFd> {
    syscall::open_in_root(root, path, flags, libc::RESOLVE_NO_SYMLINKS)
}

/// One that the image or the user chose, as if `root` were the root of the file system. Followed are
/// the links of the image. Never those of `/proc`: one that leads to a descriptor which a launcher left
/// open would lead out of the root (CVE-2024-21626).
pub(crate) fn with_links(root: BorrowedFd<'_>, path: &CStr, flags: libc::c_int) -> Result<OwnedFd> {
    syscall::open_in_root(root, path, flags, libc::RESOLVE_NO_MAGICLINKS)
}
