//! Why a watched task stands still.

use std::io;

use nix::unistd::Pid;

/// What `waitpid(2)` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It enters or leaves a system call.
    Call(Pid),
    /// It executed a program.
    Exec(Pid),
    /// It started another task, or has just been started.
    Task(Pid),
    /// It was told to stand still, and would without us.
    Group(Pid),
    /// It is about to be sent a signal.
    Signal(Pid, i32),
    /// It is no more.
    Ended(Pid),
}

/// What `PTRACE_O_TRACESYSGOOD` adds to the signal of a stop at a system call, ptrace(2).
const SYSTEM_CALL: i32 = libc::SIGTRAP | 0x80;

impl Stop {
    /// Waits for the next one; `None` if there is nothing left to watch.
    pub fn next() -> io::Result<Option<Self>> {
        loop {
            let mut status = 0;
            // SAFETY: `status` lives through the call, which writes one int to it.
            let pid = unsafe { libc::waitpid(-1, &mut status, libc::__WALL) };
            if pid > 0 {
                return Ok(Some(Self::read(Pid::from_raw(pid), status)));
            }
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::ECHILD) => return Ok(None),
                Some(libc::EINTR) => {}
                _ => return Err(error),
            }
        }
    }

    fn read(pid: Pid, status: i32) -> Self {
        if !libc::WIFSTOPPED(status) {
            return Self::Ended(pid);
        }
        let signal = libc::WSTOPSIG(status);
        match status >> 16 {
            0 if signal == SYSTEM_CALL => Self::Call(pid),
            0 => Self::Signal(pid, signal),
            libc::PTRACE_EVENT_EXEC => Self::Exec(pid),
            libc::PTRACE_EVENT_STOP if signal != libc::SIGTRAP => Self::Group(pid),
            _ => Self::Task(pid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_why_a_task_stands_still() {
        let pid = Pid::from_raw(7);
        let stopped = |signal: i32, event: i32| event << 16 | signal << 8 | 0x7f;
        for (status, expected) in [
            (0, Stop::Ended(pid)),
            (libc::SIGKILL, Stop::Ended(pid)),
            (stopped(libc::SIGTRAP | 0x80, 0), Stop::Call(pid)),
            (
                stopped(libc::SIGTRAP, libc::PTRACE_EVENT_EXEC),
                Stop::Exec(pid),
            ),
            (
                stopped(libc::SIGTRAP, libc::PTRACE_EVENT_CLONE),
                Stop::Task(pid),
            ),
            (
                stopped(libc::SIGTRAP, libc::PTRACE_EVENT_STOP),
                Stop::Task(pid),
            ),
            (
                stopped(libc::SIGTSTP, libc::PTRACE_EVENT_STOP),
                Stop::Group(pid),
            ),
            (stopped(libc::SIGTERM, 0), Stop::Signal(pid, libc::SIGTERM)),
            // A real-time signal has no name.
            (stopped(35, 0), Stop::Signal(pid, 35)),
        ] {
            assert_eq!(Stop::read(pid, status), expected, "{status:#x}");
        }
    }
}
