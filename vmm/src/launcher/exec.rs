//! Runs a further command in an instance that another process has launched: asks its monitor.

use std::fs::File;
use std::io::{self, Seek};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use guest_protocol::{Execute, SessionStreams, write_message};
use launch::{Command, ExitStatus, InstanceId, Stdio};
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::error::Error;
use super::save::connect_to;
use crate::monitor::{Channel, ChannelError, ExecNews, ExecWord, Reason, Received, Request};

/// What a command ends with that ends with its instance.
const KILLED: ExitStatus = ExitStatus::Signaled(libc::SIGKILL as u8);

/// A further command in a machine. Dropping this kills it, unless it has no streams: such a one
/// can't be waited for.
#[derive(Debug)]
pub struct Session {
    id: InstanceId,
    monitor: Channel,
    known: Mutex<Known>,
}

/// What is known of a session.
#[derive(Debug, Default)]
struct Known {
    executed: bool,
    end: Option<Result<ExitStatus, Reason>>,
}

/// Runs `command` beside the first one of the running instance `id`, in its root and with its
/// limits and rights. Its streams are `stdio`; without any it has nothing to read, nobody listens,
/// and it goes on when the session is dropped.
///
/// An instance whose command does not run yet is waited for.
///
/// # Errors
///
/// When there is no such instance, or it can't be asked.
pub fn exec(
    run_dir: &Path,
    id: &InstanceId,
    command: &Command,
    stdio: Option<&Stdio>,
) -> Result<Session, launch::Error> {
    let monitor = connect_to(run_dir, id)?;
    ask(&monitor, command, stdio).map_err(|source| Error::Ask {
        id: id.clone(),
        source,
    })?;
    Ok(Session {
        id: id.clone(),
        monitor,
        known: Mutex::default(),
    })
}

fn ask(monitor: &Channel, command: &Command, stdio: Option<&Stdio>) -> io::Result<()> {
    let execute = Execute {
        command: command.clone(),
        streams: match stdio {
            Some(_) => SessionStreams::Three,
            None => SessionStreams::Null,
        },
    };
    // In a file, since a command's arguments may be longer than any packet.
    let mut told = File::from(memfd_create(c"jaula-exec", MFdFlags::MFD_CLOEXEC)?);
    write_message(&mut told, &execute).map_err(io::Error::other)?;
    told.rewind()?;
    let mut all = vec![told.as_fd()];
    if let Some(stdio) = stdio {
        all.extend([&stdio.stdin, &stdio.stdout, &stdio.stderr].map(AsFd::as_fd));
    }
    monitor.send(&Request::Exec).map_err(io::Error::other)?;
    Ok(monitor.send_descriptors(&all)?)
}

impl Session {
    /// Sends signal number `signal` to the command; to one that has ended, nothing.
    ///
    /// # Errors
    ///
    /// When the monitor can't be told.
    pub fn signal(&self, signal: u8) -> Result<(), launch::Error> {
        match self.monitor.send(&ExecWord::Signal(signal)) {
            Err(ChannelError::Socket(Errno::EPIPE | Errno::ECONNRESET)) => Ok(()),
            result => Ok(result.map_err(Error::from)?),
        }
    }

    /// Waits until the command was executed; how it ended instead if it could not be.
    ///
    /// # Errors
    ///
    /// When it could not be started.
    pub fn wait_executed(&self) -> Result<Option<ExitStatus>, launch::Error> {
        self.wait_until(None, |known| known.executed || known.end.is_some())?;
        match self.known().executed {
            true => Ok(None),
            false => Ok(self.end()?),
        }
    }

    /// Waits for the end of the command, with its output delivered; `None` if `timeout` was given
    /// and passed first. One that ends with its instance was killed. May be called again, with the
    /// same answer.
    ///
    /// # Errors
    ///
    /// When it could not be started.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Option<ExitStatus>, launch::Error> {
        self.wait_until(timeout, |known| known.end.is_some())?;
        Ok(self.end()?)
    }

    fn end(&self) -> Result<Option<ExitStatus>, Error> {
        let end = self.known().end.clone().transpose();
        end.map_err(|reason| Error::NotExecuted {
            id: self.id.clone(),
            reason,
        })
    }

    fn wait_until(
        &self,
        timeout: Option<Duration>,
        done: impl Fn(&Known) -> bool,
    ) -> Result<(), Error> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            self.take_news()?;
            if done(&self.known()) {
                return Ok(());
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let has_news = self.monitor.is_readable_within(left)?;
            if !has_news && left.is_some_and(|left| left.is_zero()) {
                return Ok(());
            }
        }
    }

    fn take_news(&self) -> Result<(), Error> {
        let mut known = self.known();
        while known.end.is_none() {
            match self.monitor.receive()? {
                Received::Message(ExecNews::Executed) => known.executed = true,
                Received::Message(ExecNews::Ended(status)) => known.end = Some(Ok(status)),
                Received::Message(ExecNews::Failed(reason)) => {
                    known.end = Some(Err(reason));
                }
                Received::Closed => known.end = Some(Ok(KILLED)),
                Received::Nothing => break,
            }
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
