//! Signals to a process that is known by its descriptor, and so never to another that got its
//! number since.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::libc;

/// Sends the signal of this number, real-time ones too; to a process that has ended, nothing.
///
/// # Errors
///
/// When there is no such signal, or it may not be sent.
pub fn send_signal(process: BorrowedFd<'_>, signal: libc::c_int) -> Result<(), Errno> {
    // SAFETY: numbers and a null pointer, which pidfd_send_signal(2) allows.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    match Errno::result(sent) {
        Ok(_) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(errno),
    }
}
