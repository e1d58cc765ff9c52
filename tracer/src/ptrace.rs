//! The requests of `ptrace(2)` that are made here. Those that pass a signal on are made without
//! nix, which knows no real-time signals.

use std::io;

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::unistd::Pid;

/// Which side of a system call a task is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// It asks the kernel.
    Entry {
        /// For what.
        number: u64,
        /// With which arguments.
        arguments: [u64; 6],
    },
    /// The kernel answers, with an error number below 0.
    Exit {
        /// What.
        result: i64,
    },
    /// Neither is known.
    Other,
}

/// Watches `pid` from now on, and all that it starts. They are killed when this process ends.
pub(crate) fn seize(pid: Pid) -> nix::Result<()> {
    ptrace::seize(
        pid,
        Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_EXITKILL,
    )?;
    ptrace::interrupt(pid)
}

/// What a task that stands still at a system call is about.
pub(crate) fn side(pid: Pid) -> nix::Result<Side> {
    let info = ptrace::syscall_info(pid)?;
    Ok(match info.op {
        libc::PTRACE_SYSCALL_INFO_ENTRY => {
            // SAFETY: `op` says that the kernel has filled in this one, ptrace(2).
            let entry = unsafe { info.u.entry };
            Side::Entry {
                number: entry.nr,
                arguments: entry.args,
            }
        }
        libc::PTRACE_SYSCALL_INFO_EXIT => {
            // SAFETY: as above.
            let exit = unsafe { info.u.exit };
            Side::Exit { result: exit.sval }
        }
        _ => Side::Other,
    })
}

/// Lets it go on to its next system call, and sends it `signal` if that is not 0.
pub(crate) fn go_on(pid: Pid, signal: i32) -> nix::Result<()> {
    request(libc::PTRACE_SYSCALL, pid, signal)
}

/// Leaves it as it is: it was told to stand still, by others than us.
pub(crate) fn leave_stopped(pid: Pid) -> nix::Result<()> {
    request(libc::PTRACE_LISTEN, pid, 0)
}

/// Watches it no longer.
pub(crate) fn let_go(pid: Pid) -> nix::Result<()> {
    request(libc::PTRACE_DETACH, pid, 0)
}

fn request(request: libc::c_uint, pid: Pid, signal: i32) -> nix::Result<()> {
    // SAFETY: none of the requests of this module reads or writes memory of ours: their last two
    // arguments are unused, or a number, ptrace(2).
    let result = unsafe { libc::ptrace(request, pid.as_raw(), 0, i64::from(signal)) };
    match result {
        -1 => Err(Errno::last()),
        _ => Ok(()),
    }
}

/// A task may be killed at any moment: then there is nothing more to do about it.
pub(crate) fn unless_gone(result: nix::Result<()>) -> io::Result<()> {
    match result {
        Err(Errno::ESRCH) => Ok(()),
        result => Ok(result?),
    }
}
