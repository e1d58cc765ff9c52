//! Which descriptors the command inherits: its three standard streams and nothing else.

use std::os::fd::{AsFd, BorrowedFd, RawFd};

use launch::Stdio;

use crate::syscall::{self, Result};

/// Where the lifeline is until `execve` closes it.
pub(crate) const LIFELINE: RawFd = 3;

/// The first number that nothing is put on.
const FREE: RawFd = 4;

/// Puts the streams on 0, 1 and 2 and the lifeline, if there is one, on [`LIFELINE`], and closes
/// everything else.
///
/// Closes, and does not only mark it to be closed: `execve` looks up its path before it closes
/// anything, so `/proc/self/fd/7/bin/sh` would reach what a launcher has on 7 (CVE-2024-21626).
pub(crate) fn put_in_place(stdio: &Stdio, lifeline: Option<BorrowedFd<'_>>) -> Result<()> {
    // First out of the way of all four numbers: each may be any of them, the wrong one too.
    let stdin = syscall::duplicate_above(stdio.stdin.as_fd(), FREE)?;
    let stdout = syscall::duplicate_above(stdio.stdout.as_fd(), FREE)?;
    let stderr = syscall::duplicate_above(stdio.stderr.as_fd(), FREE)?;
    let lifeline = match lifeline {
        Some(lifeline) => Some(syscall::duplicate_above(lifeline, FREE)?),
        None => None,
    };
    syscall::duplicate_onto(stdin, libc::STDIN_FILENO, 0)?;
    syscall::duplicate_onto(stdout, libc::STDOUT_FILENO, 0)?;
    syscall::duplicate_onto(stderr, libc::STDERR_FILENO, 0)?;
    match lifeline {
        Some(lifeline) => {
            syscall::duplicate_onto(lifeline, LIFELINE, libc::O_CLOEXEC)?;
            syscall::close_from(FREE)
        }
        None => syscall::close_from(LIFELINE),
    }
}
