//! Opens what may be anything: a snapshot may come from elsewhere.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens a file for reading. `None` if it is not a regular one: a link could lead to another
/// user's, and at a fifo one would wait for the other end.
pub(super) fn open(path: &Path) -> io::Result<Option<File>> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path);
    match opened {
        Ok(file) => Ok(file.metadata()?.is_file().then_some(file)),
        // O_NOFOLLOW: open(2).
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => Ok(None),
        // A socket.
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => Ok(None),
        Err(error) => Err(error),
    }
}
