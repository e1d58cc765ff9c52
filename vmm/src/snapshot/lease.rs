//! A read lease on a file (fcntl(2), "Leases"): whoever wants to write to it or to cut it off has
//! to wait, and its holder gets a signal.
//!
//! So a machine that runs on a private mapping of the file can be ended before its memory changes
//! under it. The waiting ends after `/proc/sys/fs/lease-break-time` seconds (45) at the latest.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::getpid;

/// What the kernel sends if it isn't told another: its default action ends the process, so a
/// holder that does not watch does not live on with another's bytes.
const BREAK: Signal = Signal::SIGIO;

/// Becomes readable when somebody wants to change a file that this process has a lease on. The
/// machine must be ended then.
#[derive(Debug)]
pub struct LeaseBreaks(SignalFd);

impl LeaseBreaks {
    /// Blocks the signal in the calling thread and watches for it. To be called before there are
    /// other threads: they inherit that it is blocked, and where it is not it ends the process.
    ///
    /// # Errors
    ///
    /// When there are no descriptors left.
    pub fn watch() -> io::Result<Self> {
        let mut signals = SigSet::empty();
        signals.add(BREAK);
        signals.thread_block()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Self(SignalFd::with_flags(&signals, flags)?))
    }
}

impl AsFd for LeaseBreaks {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Whether a file is protected from changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// As long as a descriptor of this opening, or a mapping made with one, is there.
    Held,
    /// Nobody asked for that; it is not open for writing now.
    NotTaken,
    /// The file is open for writing.
    Busy,
    /// The file is another user's (capabilities(7), `CAP_LEASE`), or its file system has no
    /// leases: it is unchanged for as long as its owner leaves it alone.
    Unavailable(Errno),
}

/// Tries to take a lease on the file, opened for reading alone.
pub(super) fn take(file: &File, _breaks: &LeaseBreaks) -> Lease {
    // The process before the lease: else the signal is for the calling thread, which may end.
    let taken = own(file).and_then(|_| control(file, libc::F_SETLEASE, libc::F_RDLCK));
    outcome(taken, Lease::Held)
}

/// Has the signal of a break sent to this process with the rights that it has now.
pub(super) fn notify_me(file: &File) -> io::Result<()> {
    Ok(own(file)?)
}

fn own(file: &File) -> nix::Result<()> {
    control(file, libc::F_SETOWN, getpid().as_raw())
}

/// Looks whether the file, opened for reading alone, is open for writing: takes a lease and gives it
/// back at once.
pub(super) fn probe(file: &File) -> Lease {
    // The signal of a break in between is one that is ignored by default.
    let taken = control(file, F_SETSIG, Signal::SIGURG as libc::c_int)
        .and_then(|_| control(file, libc::F_SETLEASE, libc::F_RDLCK))
        .and_then(|_| control(file, libc::F_SETLEASE, libc::F_UNLCK));
    outcome(taken, Lease::NotTaken)
}

fn outcome(done: nix::Result<()>, lease: Lease) -> Lease {
    match done {
        Ok(()) => lease,
        Err(Errno::EAGAIN) => Lease::Busy,
        Err(errno) => Lease::Unavailable(errno),
    }
}

/// `include/uapi/asm-generic/fcntl.h`.
const F_SETSIG: libc::c_int = 10;

/// `command` is one that takes an integer.
fn control(file: &File, command: libc::c_int, argument: libc::c_int) -> nix::Result<()> {
    // SAFETY: an integer touches no memory of this process.
    Errno::result(unsafe { libc::fcntl(file.as_raw_fd(), command, argument) }).map(drop)
}
