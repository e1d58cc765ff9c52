//! Which descriptors the command inherits: its three standard streams and nothing else.

use std::os::fd::{BorrowedFd, RawFd};

use crate::syscall::{self, Result};

/// How many others there can be until `execve` closes them.
const KEPT: usize = 2;

/// The first number behind the streams.
const FIRST_KEPT: RawFd = 3;

/// The first number that nothing is put on.
const FREE: RawFd = FIRST_KEPT + KEPT as RawFd;

/// Puts the streams on 0, 1 and 2 and those of `kept` that there are behind them, and closes
/// everything else. Returns where the kept ones are.
///
/// Closes, and does not only mark it to be closed: `execve` looks up its path before it closes
/// anything, so `/proc/self/fd/7/bin/sh` would reach what a launcher has on 7 (CVE-2024-21626).
pub(crate) fn put_in_place(
    [stdin, stdout, stderr]: [BorrowedFd<'_>; 3],
    kept: [Option<BorrowedFd<'_>>; KEPT],
) -> Result<[Option<RawFd>; KEPT]> {
    // First out of the way of all these numbers: each may be any of them, the wrong one too.
    let stdin = syscall::duplicate_above(stdin, FREE)?;
    let stdout = syscall::duplicate_above(stdout, FREE)?;
    let stderr = syscall::duplicate_above(stderr, FREE)?;
    let mut places = [None; KEPT];
    for (place, fd) in places.iter_mut().zip(kept) {
        if let Some(fd) = fd {
            *place = Some(syscall::duplicate_above(fd, FREE)?);
        }
    }
    syscall::duplicate_onto(stdin, libc::STDIN_FILENO, 0)?;
    syscall::duplicate_onto(stdout, libc::STDOUT_FILENO, 0)?;
    syscall::duplicate_onto(stderr, libc::STDERR_FILENO, 0)?;
    let mut next = FIRST_KEPT;
    for place in places.iter_mut().flatten() {
        syscall::duplicate_onto(*place, next, libc::O_CLOEXEC)?;
        *place = next;
        next += 1;
    }
    syscall::close_from(next)?;
    Ok(places)
}
