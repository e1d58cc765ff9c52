//! What a signal does before there is a command to pass it on to.

use std::fs;
use std::process;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use launch::ExitStatus;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error;

/// Within this time another signal is the same wish: `timeout` signals a process and then its
/// group. Nobody types Ctrl-C twice that soon and means two things.
const SAME_WISH_WITHIN: Duration = Duration::from_millis(500);

/// Remembers the signal that ended the preparation, the first one, and when it came.
#[derive(Debug, Default)]
pub struct Interruption(OnceLock<(Signal, Instant)>);

/// What is wanted of a first signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// That all ends: where no program does the work, which could be ended, at once.
    End,
    /// That what was done before is reported: the work that is done now is waited for.
    Report,
}

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
    /// programs, or on another signal half a second later, gives up at once, and the next run
    /// clears up: work of our own can't be ended half-way.
    pub fn take(&self, signal: Signal, wish: Wish) {
        let before = self.0.get().copied();
        if !self.note(signal) {
            return;
        }
        let gives_up = match before {
            None => end_children() == 0 && wish == Wish::End,
            Some((_, at)) => is_another_wish(at.elapsed()),
        };
        if gives_up {
            let interrupted = Interrupted(signal);
            error::print(&interrupted);
            process::exit(interrupted.exit_code().into());
        }
    }

    /// Remembers a signal; `false` if it is one that ends nothing.
    pub fn note(&self, signal: Signal) -> bool {
        let ends = Self::ends(signal);
        if ends {
            self.0.get_or_init(|| (signal, Instant::now()));
        }
        ends
    }

    /// Whether a signal is one that ends what it is sent to.
    pub fn ends(signal: Signal) -> bool {
        !matches!(signal, Signal::SIGUSR1 | Signal::SIGUSR2)
    }

    /// Fails if there was a signal.
    pub fn check(&self) -> Result<(), Interrupted> {
        match self.0.get() {
            Some(&(signal, _)) => Err(Interrupted(signal)),
            None => Ok(()),
        }
    }
}

/// Whether a signal means more than the one that came so long before.
fn is_another_wish(after: Duration) -> bool {
    after > SAME_WISH_WITHIN
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_signals_at_once_are_one_wish() {
        let interruption = Interruption::default();
        assert!(interruption.note(Signal::SIGINT));
        // Otherwise it would end this process.
        interruption.take(Signal::SIGTERM, Wish::End);
        let interrupted = interruption.check().unwrap_err();
        assert_eq!(interrupted.exit_code(), 130);
    }

    #[test]
    fn a_later_signal_is_another_wish() {
        assert!(!is_another_wish(Duration::from_millis(1)));
        assert!(is_another_wish(Duration::from_secs(1)));
    }

    #[test]
    fn a_users_own_signal_ends_nothing() {
        let interruption = Interruption::default();
        interruption.take(Signal::SIGUSR1, Wish::End);
        assert!(interruption.check().is_ok());
    }
}
