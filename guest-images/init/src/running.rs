use launch::ExitStatus;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::command::Command;
use crate::fatal::Fatal;
use crate::stream::Stream;

/// A command that runs, with the streams that are carried for it.
pub(crate) struct Running {
    command: Command,
    streams: Vec<Stream>,
    status: Option<ExitStatus>,
}

impl Running {
    pub(crate) fn new(command: Command, streams: Vec<Stream>) -> Self {
        Self {
            command,
            streams,
            status: None,
        }
    }

    /// Says what is waited for.
    pub(crate) fn add_interest<'a>(&'a self, fds: &mut Interest<'a>) {
        for stream in &self.streams {
            fds.0.extend(stream.interest().into_iter().flatten());
        }
        // Once it was waited for it would be found to have ended again and again.
        if self.status.is_none() {
            fds.add(PollFd::from_borrowed_fd(
                self.command.ended(),
                PollFlags::IN,
            ));
        }
    }

    /// Does what is to be done about what was found.
    pub(crate) fn react(&mut self, found: &mut Found) -> Result<(), Fatal> {
        for stream in &mut self.streams {
            if !stream.has_ended() {
                let (source, sink) = (found.take(), found.take());
                stream
                    .react(source, sink)
                    .map_err(Fatal::when("carrying a standard stream"))?;
            }
        }
        if self.status.is_none() && !found.take().is_empty() {
            self.status = Some(self.command.wait()?);
        }
        Ok(())
    }

    /// Sends the command a signal if it has not ended.
    pub(crate) fn signal(&self, number: u8) {
        if self.status.is_none() {
            self.command.signal(number);
        }
    }

    /// How it ended, when all who could write to its outputs are gone and all that they wrote was
    /// sent.
    pub(crate) fn end_of_all(&self) -> Option<ExitStatus> {
        let sent = self.streams.iter().all(Stream::has_sent_all);
        self.status.filter(|_| sent)
    }

    /// How it ended, when all that had been written by then was sent; others may hold its outputs
    /// still.
    pub(crate) fn end_of_command(&self) -> Result<Option<ExitStatus>, Errno> {
        let Some(status) = self.status else {
            return Ok(None);
        };
        for stream in &self.streams {
            if stream.has_more()? {
                return Ok(None);
            }
        }
        Ok(Some(status))
    }

    /// Lets go of its streams; the command, if it has to be waited for.
    pub(crate) fn leave(self) -> Option<Command> {
        self.status.is_none().then_some(self.command)
    }
}

/// What is waited for: each adds its own, and takes as many answers in the same order.
#[derive(Default)]
pub(crate) struct Interest<'a>(Vec<PollFd<'a>>);

impl<'a> Interest<'a> {
    pub(crate) fn add(&mut self, fd: PollFd<'a>) {
        self.0.push(fd);
    }

    /// Waits until something happens, or for so long at most.
    pub(crate) fn wait(mut self, timeout: Option<&Timespec>) -> Result<Found, Fatal> {
        loop {
            match poll(&mut self.0, timeout) {
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Fatal::when("waiting for something to do")(errno)),
            }
        }
        let found: Vec<_> = self.0.iter().map(PollFd::revents).collect();
        Ok(Found(found.into_iter()))
    }
}

/// What was found of each that was waited for.
pub(crate) struct Found(std::vec::IntoIter<PollFlags>);

impl Found {
    pub(crate) fn take(&mut self) -> PollFlags {
        self.0.next().unwrap_or(PollFlags::empty())
    }
}
