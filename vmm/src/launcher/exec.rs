//! Runs a further command in an instance that another process has launched: asks its monitor.

use std::fs::File;
use std::io::{self, Seek};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use guest_protocol::{End, Execute, SessionStreams, UserFile, Users, read_message, write_message};
use launch::{ExitStatus, Further, InstanceId, Running, Stdio, WindowSize};
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::Signal;

use super::error::Error;
use super::save::connect_to;
use crate::monitor::{Channel, ChannelError, ExecNews, ExecWord, Reason, Received, Reply, Request};

/// What a command ends with that ends with its instance.
const KILLED: End = End {
    status: ExitStatus::Signaled(libc::SIGKILL as u8),
    out_of_memory: false,
};

/// A further command in a machine. Dropping this kills it, unless it has no streams: such a one
/// can't be waited for.
#[derive(Debug)]
struct Session {
    id: InstanceId,
    monitor: Channel,
    known: Mutex<Known>,
}

/// What is known of a session.
#[derive(Debug, Default)]
struct Known {
    executed: bool,
    end: Option<Result<End, Reason>>,
}

/// What the root of a machine's commands says of users and groups, which may be anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserFiles {
    /// What `/etc/passwd` holds; nothing, if there is none.
    pub passwd: Vec<u8>,
    /// The same of `/etc/group`.
    pub group: Vec<u8>,
}

/// A machine that another process has launched.
#[derive(Clone, Debug)]
pub struct RunningVm {
    run_dir: PathBuf,
    id: InstanceId,
}

impl RunningVm {
    /// The instance `id`, whose directory is in `run_dir`.
    pub fn new(run_dir: impl Into<PathBuf>, id: InstanceId) -> Self {
        Self {
            run_dir: run_dir.into(),
            id,
        }
    }

    /// Runs a command in it, whose streams are copied from and to `stdio`. It is killed when what
    /// is returned is dropped, or the caller ends. An instance whose own command does not run yet is
    /// waited for.
    ///
    /// # Errors
    ///
    /// When there is no such instance, or it can't be asked.
    pub fn execute(
        &self,
        further: &Further,
        stdio: &Stdio,
    ) -> Result<Box<dyn Running>, launch::Error> {
        let streams = match further.terminal {
            Some(size) => SessionStreams::Terminal(size),
            None => SessionStreams::Three,
        };
        Ok(Box::new(self.ask(further, streams, Some(stdio))?))
    }

    /// The same, with nothing to read and nobody who listens; it goes on when the caller ends. Has
    /// how it ended instead if it could not be executed. It has no terminal, whatever is asked for.
    ///
    /// # Errors
    ///
    /// When it can't be started.
    pub fn leave_running(&self, further: &Further) -> Result<Option<ExitStatus>, launch::Error> {
        self.ask(further, SessionStreams::Null, None)?
            .wait_executed()
    }

    /// What its root says of users.
    ///
    /// # Errors
    ///
    /// When there is no such instance, it can't be asked, or a file is none.
    pub fn users(&self) -> Result<UserFiles, launch::Error> {
        let Users { passwd, group } = self.ask_users()?;
        Ok(UserFiles {
            passwd: self.bytes(passwd, "/etc/passwd")?,
            group: self.bytes(group, "/etc/group")?,
        })
    }

    fn bytes(&self, file: UserFile, path: &'static str) -> Result<Vec<u8>, Error> {
        let why = match file {
            UserFile::Bytes(bytes) => return Ok(bytes),
            UserFile::NotRegular => "it is not a regular file",
            UserFile::TooLong => "it is too long",
        };
        Err(Error::UserFile {
            id: self.id.clone(),
            path,
            why,
        })
    }

    fn ask_users(&self) -> Result<Users, Error> {
        let monitor = connect_to(&self.run_dir, &self.id)?;
        monitor.send(&Request::Users)?;
        match monitor.receive_within(None)? {
            Some(Reply::Users) => {}
            Some(Reply::Failed(reason)) => {
                return Err(Error::NotExecuted {
                    id: self.id.clone(),
                    reason,
                });
            }
            _ => return Err(Error::NotRunning(self.id.clone())),
        }
        let told = monitor.receive_descriptors().map_err(ChannelError::from)?;
        let told = told.and_then(|mut all| all.pop());
        let users = told.and_then(|told| read_message(&mut File::from(told)).transpose());
        let users = users.ok_or_else(|| Error::NotRunning(self.id.clone()))?;
        users.map_err(|error| self.failed(io::Error::other(error)))
    }

    fn ask(
        &self,
        further: &Further,
        streams: SessionStreams,
        stdio: Option<&Stdio>,
    ) -> Result<Session, Error> {
        let monitor = connect_to(&self.run_dir, &self.id)?;
        let execute = Execute {
            command: further.command.clone(),
            streams,
        };
        ask(&monitor, &execute, stdio).map_err(|source| self.failed(source))?;
        Ok(Session {
            id: self.id.clone(),
            monitor,
            known: Mutex::default(),
        })
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Ask {
            id: self.id.clone(),
            source,
        }
    }
}

fn ask(monitor: &Channel, execute: &Execute, stdio: Option<&Stdio>) -> io::Result<()> {
    // In a file, since a command's arguments may be longer than any packet.
    let mut told = File::from(memfd_create(c"jaula-exec", MFdFlags::MFD_CLOEXEC)?);
    write_message(&mut told, execute).map_err(io::Error::other)?;
    told.rewind()?;
    let mut all = vec![told.as_fd()];
    if let Some(stdio) = stdio {
        all.extend(stdio.as_fds());
    }
    monitor.send(&Request::Exec).map_err(io::Error::other)?;
    Ok(monitor.send_descriptors(&all)?)
}

impl Running for Session {
    fn signal(&self, signal: Signal) -> Result<(), launch::Error> {
        // A signal's number is below 64.
        Ok(self.tell(ExecWord::Signal(signal as u8))?)
    }

    fn resize(&self, size: WindowSize) -> Result<(), launch::Error> {
        Ok(self.tell(ExecWord::Resize(size))?)
    }

    fn wait_executed(&self) -> Result<Option<ExitStatus>, launch::Error> {
        self.wait_until(None, |known| known.executed || known.end.is_some())?;
        let executed = self.known().executed;
        match executed {
            true => Ok(None),
            false => Ok(self.status()?),
        }
    }

    /// One that ends with its instance was killed.
    fn wait(&self, timeout: Option<Duration>) -> Result<Option<ExitStatus>, launch::Error> {
        self.wait_until(timeout, |known| known.end.is_some())?;
        Ok(self.status()?)
    }

    fn out_of_memory(&self) -> Result<bool, launch::Error> {
        Ok(self.end()?.is_some_and(|end| end.out_of_memory))
    }
}

impl Session {
    /// One that has ended is not told.
    fn tell(&self, word: ExecWord) -> Result<(), Error> {
        match self.monitor.send(&word) {
            Err(ChannelError::Socket(Errno::EPIPE | Errno::ECONNRESET)) => Ok(()),
            result => Ok(result?),
        }
    }

    fn status(&self) -> Result<Option<ExitStatus>, Error> {
        Ok(self.end()?.map(|end| end.status))
    }

    fn end(&self) -> Result<Option<End>, Error> {
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
                Received::Message(ExecNews::Ended(end)) => known.end = Some(Ok(end)),
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
