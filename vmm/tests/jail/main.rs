//! Each layer of the monitor's jail by itself, in processes that are closed in and try what they must not.

// All of it is test code, though not all of it is under `#[test]`.
#![allow(clippy::unwrap_used)]

mod filter;
mod room;

use std::io::{self, Read, Write};

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

/// What became of a process.
#[derive(Debug, PartialEq, Eq)]
struct End {
    status: WaitStatus,
    said: String,
}

/// Runs `act` in a process of its own, which says what `act` returns.
fn in_child(act: impl FnOnce() -> String) -> End {
    let (mut told, mut tell) = io::pipe().unwrap();
    // SAFETY: the child makes system calls and allocates; glibc's allocator can be used after
    // fork(2), whatever other threads there were.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            drop(told);
            let said = act();
            let _ = tell.write_all(said.as_bytes());
            // SAFETY: ends the process, and takes a number.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { child } => {
            drop(tell);
            let mut said = String::new();
            told.read_to_string(&mut said).unwrap();
            let status = waitpid(child, None).unwrap();
            End { status, said }
        }
    }
}
