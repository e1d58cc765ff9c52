//! What a signal does before there is a command to pass it on to.

use std::fs;
use std::process;
use std::sync::atomic::{AtomicI32, Ordering};

use launch::ExitStatus;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error;

/// Remembers the signal that ended the preparation.
#[derive(Debug, Default)]
pub struct Interruption(AtomicI32);

/// Work was ended by a signal.
#[derive(Debug, thiserror::Error)]
#[error("interrupted by {0}")]
pub struct Interrupted(Signal);

impl Interrupted {
    /// That of a shell whose command the signal killed.
    pub fn exit_code(&self) -> u8 {
        ExitStatus::Signaled(self.0 as u8).code()
    }
}

impl Interruption {
    /// Ends the programs that do the work; it then fails and clears up after itself. Without
    /// programs, or on another signal, gives up at once, and the next run clears up: work of our
    /// own can't be ended half-way.
    pub fn take(&self, signal: Signal) {
        let before = self.0.load(Ordering::Relaxed);
        if !self.note(signal) {
            return;
        }
        if before != 0 || end_children() == 0 {
            let interrupted = Interrupted(signal);
            error::print(&interrupted);
            process::exit(interrupted.exit_code().into());
        }
    }

    /// Remembers a signal; `false` if it is one that ends nothing.
    pub fn note(&self, signal: Signal) -> bool {
        let ends = Self::ends(signal);
        if ends {
            self.0.store(signal as i32, Ordering::Relaxed);
        }
        ends
    }

    /// Whether a signal is one that ends what it is sent to.
    pub fn ends(signal: Signal) -> bool {
        !matches!(signal, Signal::SIGUSR1 | Signal::SIGUSR2)
    }

    /// Fails if there was a signal.
    pub fn check(&self) -> Result<(), Interrupted> {
        match Signal::try_from(self.0.load(Ordering::Relaxed)) {
            Ok(signal) => Err(Interrupted(signal)),
            // 0: there was none.
            Err(_) => Ok(()),
        }
    }
}

/// Sends SIGTERM to every child process, and counts them: `make` passes it on to what it started.
fn end_children() -> usize {
    let mut ended = 0;
    for thread in fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten()
    {
        // Without this file, proc_pid_task(5), they end by themselves when jaula does.
        let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|it| it.parse().ok()) {
            // It may have ended already.
            let _ = kill(Pid::from_raw(child), Signal::SIGTERM);
            ended += 1;
        }
    }
    ended
}
