//! Directories that hide all that is beneath them in other layers.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{XattrFlags, getxattr, lsetxattr};
use rustix::io::Errno;

/// Makes a directory such a one; `attribute` is that of
/// [`opaque_attribute`](super::privileges::Privileges::opaque_attribute).
pub(super) fn set_opaque(dir: &Path, attribute: &str) -> io::Result<()> {
    Ok(lsetxattr(dir, attribute, b"y", XattrFlags::empty())?)
}

/// Whether a directory is such a one.
pub(crate) fn is_opaque(dir: BorrowedFd<'_>) -> io::Result<bool> {
    // The descriptor may be one that nothing can be read from.
    let path = format!("/proc/self/fd/{}", dir.as_raw_fd());
    let mut value = [0; 1];
    for name in ["trusted.overlay.opaque", "user.overlay.opaque"] {
        match getxattr(&path, name, &mut value) {
            Ok(1) if value == *b"y" => return Ok(true),
            // A longer one means something else.
            Ok(_) | Err(Errno::NODATA | Errno::RANGE | Errno::OPNOTSUPP) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(false)
}
