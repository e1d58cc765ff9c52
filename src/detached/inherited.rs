use std::fs;
use std::io;
use std::os::fd::RawFd;

use nix::libc;

/// Descriptors that were open when jaula started, beyond the standard streams: what the caller
/// forgot to close. A keeper that had them would keep pipes open and file systems busy.
pub struct Inherited(Vec<RawFd>);

impl Inherited {
    /// Finds them. To be called before anything else is opened.
    pub fn find() -> io::Result<Self> {
        let mut open = Vec::new();
        for entry in fs::read_dir("/proc/self/fd")? {
            let name = entry?.file_name();
            open.extend(name.to_str().and_then(|name| name.parse::<RawFd>().ok()));
        }
        // The one that was read from is closed again.
        open.retain(|fd| {
            // SAFETY: takes numbers only.
            let is_open = unsafe { libc::fcntl(*fd, libc::F_GETFD) } != -1;
            is_open && *fd > libc::STDERR_FILENO
        });
        Ok(Self(open))
    }

    /// Closes them.
    pub(super) fn close(&self) {
        for fd in &self.0 {
            // SAFETY: it was open before `main`, so nothing in this process owns it.
            unsafe { libc::close(*fd) };
        }
    }
}
