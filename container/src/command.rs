use std::time::Duration;

use launch::{ExitStatus, Stdio, WindowSize};
use nix::sys::signal::Signal;

use crate::error::Error;
use crate::process::Process;
use crate::terminal::{Hatch, Terminal};

/// A command that was started, with what it has in place of three streams. Dropping it kills it.
pub(crate) struct RunningCommand {
    // Dropped from top to bottom.
    pub(crate) process: Process,
    pub(crate) terminal: Option<Terminal>,
}

impl RunningCommand {
    /// Begins to copy from and to its terminal, if it has one.
    pub(crate) fn connect(
        process: Process,
        hatch: Option<Hatch>,
        stdio: Stdio,
    ) -> Result<Self, Error> {
        let connect = |hatch: Hatch| hatch.connect(stdio.stdin, stdio.stdout);
        let terminal = match process.refused() {
            None => hatch.map(connect).transpose()?,
            // Of a command that was not executed there is nothing to be shown.
            Some(_) => None,
        };
        Ok(Self { process, terminal })
    }

    /// [`Running::signal`](launch::Running::signal).
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), launch::Error> {
        Ok(self.process.signal(signal)?)
    }

    /// [`Running::resize`](launch::Running::resize).
    pub(crate) fn resize(&self, size: WindowSize) -> Result<(), launch::Error> {
        match &self.terminal {
            Some(terminal) => Ok(terminal.resize(size)?),
            None => Ok(()),
        }
    }

    /// [`Running::wait_executed`](launch::Running::wait_executed).
    pub(crate) fn wait_executed(&self) -> Result<Option<ExitStatus>, launch::Error> {
        // Whoever started it waited for it.
        Ok(self.process.refused())
    }

    /// [`Running::wait`](launch::Running::wait).
    pub(crate) fn wait(
        &self,
        timeout: Option<Duration>,
    ) -> Result<Option<ExitStatus>, launch::Error> {
        let end = self.process.wait(timeout)?;
        if end.is_some()
            && let Some(terminal) = &self.terminal
        {
            terminal.finish();
        }
        Ok(end.map(|end| end.status))
    }
}
