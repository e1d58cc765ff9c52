//! The user's own terminal, while a command has another one: what is typed goes there as it is,
//! and what that shows comes here.

mod raw;

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use launch::WindowSize;
use nix::errno::Errno;
use nix::sys::signal::{Signal, raise};
use nix::unistd::{getpgrp, tcgetpgrp};
use terminal_size::{Height, Width};

use raw::Raw;

/// docker's words.
#[derive(Debug, thiserror::Error)]
#[error("the input device is not a TTY")]
pub struct NotATerminal;

impl From<NotATerminal> for launch::Error {
    fn from(error: NotATerminal) -> Self {
        Self::new(error).with_remedy("leave --tty out, or --interactive")
    }
}

/// Refuses a terminal for what is not typed: a file or a pipe has an end, and a terminal has no
/// word for that.
pub fn check_input() -> Result<(), NotATerminal> {
    match io::stdin().is_terminal() {
        true => Ok(()),
        false => Err(NotATerminal),
    }
}

/// The size of the user's terminal, or that of the first ones.
pub fn window_size() -> WindowSize {
    let size = terminal_size::terminal_size();
    size.map_or(
        WindowSize {
            rows: 24,
            columns: 80,
        },
        |(Width(columns), Height(rows))| WindowSize { rows, columns },
    )
}

/// The terminal at standard input, if what is typed there is for the command. It is as it was
/// before when this is dropped.
pub struct Terminal {
    /// As long as what is typed is passed on.
    raw: Mutex<Option<Raw>>,
    is_typed: bool,
}

impl Terminal {
    /// Nothing is changed yet. `interactive` is whether what is typed is for the command.
    pub fn new(interactive: bool) -> Self {
        Self {
            raw: Mutex::new(None),
            is_typed: interactive && io::stdin().is_terminal(),
        }
    }

    /// Has all that is typed come through, each key at once; again, when the user has it back
    /// after it was stopped. Nothing while another program has the terminal.
    pub fn pass_on(&self) -> io::Result<()> {
        let mut raw = self.lock();
        if self.is_typed && has_terminal() {
            // What it is now is not what it was before, if it was stopped.
            drop(raw.take());
            *raw = Some(Raw::set()?);
        }
        Ok(())
    }

    /// Gives the terminal back and stops, until somebody lets this process go on.
    pub fn stop(&self) {
        drop(self.lock().take());
        // It is a signal that nobody can refuse to get, so there is no error.
        let _ = raise(Signal::SIGSTOP);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Raw>> {
        self.raw.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether this process may change the terminal: it is in the foreground, or nobody is.
fn has_terminal() -> bool {
    match tcgetpgrp(io::stdin().as_fd()) {
        Ok(foreground) => foreground == getpgrp(),
        // It is not the one of the session, so there is no such thing.
        Err(errno) => errno == Errno::ENOTTY,
    }
}
