use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pipe2, read, write};
use rustix::process::{PidfdFlags, pidfd_open};

/// A process that has a user namespace nobody has mapped anything in yet. It does nothing, and is
/// gone when this is dropped.
///
/// The maps can only be written from outside, and a process that has entered a namespace is not
/// outside any more: so it takes a second one, and all can still be given up when they fail.
pub(super) struct Holder {
    pid: Pid,
    pidfd: OwnedFd,
    /// Its end is what the process waits for.
    end: Option<OwnedFd>,
}

impl Holder {
    /// To be called while this process has one thread.
    pub(super) fn start() -> Result<Self, Errno> {
        let (from_child, to_parent) = pipe2(OFlag::O_CLOEXEC)?;
        let (from_parent, to_child) = pipe2(OFlag::O_CLOEXEC)?;
        // SAFETY: the child makes system calls only, and ends by `_exit`.
        match unsafe { fork() }? {
            ForkResult::Child => {
                drop(to_child);
                hold(&from_parent, &to_parent);
                // SAFETY: ends the process, and takes a number.
                unsafe { nix::libc::_exit(0) }
            }
            ForkResult::Parent { child } => {
                drop((to_parent, from_parent));
                let holder = Self {
                    pid: child,
                    pidfd: open(child)?,
                    end: Some(to_child),
                };
                match answer(&from_child)? {
                    0 => Ok(holder),
                    errno => Err(Errno::from_raw(errno)),
                }
            }
        }
    }

    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    pub(super) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.end.take());
        // It is a child that has nothing else to do.
        let _ = waitpid(self.pid, None);
    }
}

fn open(child: Pid) -> Result<OwnedFd, Errno> {
    let pid = rustix::process::Pid::from_raw(child.as_raw()).ok_or(Errno::ESRCH)?;
    pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| Errno::from_raw(errno.raw_os_error()))
}

/// The child's life. Makes system calls and nothing else.
fn hold(from_parent: &OwnedFd, to_parent: &OwnedFd) {
    let errno = match unshare(CloneFlags::CLONE_NEWUSER) {
        Ok(()) => 0,
        Err(errno) => errno as i32,
    };
    if write(to_parent, &errno.to_ne_bytes()).is_ok() {
        // Nothing is ever written to it.
        while read(from_parent, &mut [0]) == Err(Errno::EINTR) {}
    }
}

/// What the child said: 0, or why it has no namespace.
fn answer(from_child: &OwnedFd) -> Result<i32, Errno> {
    let mut bytes = [0; size_of::<i32>()];
    loop {
        match read(from_child, &mut bytes) {
            Err(Errno::EINTR) => {}
            // Less than PIPE_BUF comes whole or not at all.
            Ok(0) => return Err(Errno::ECHILD),
            result => return result.map(|_| i32::from_ne_bytes(bytes)),
        }
    }
}
