use launch::{ExitStatus, WindowSize};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

use crate::command::Command;
use crate::fatal::Fatal;
use crate::interest::{Found, Interest};
use crate::load::Load;
use crate::stream::Stream;

/// A command that runs, with what is carried for it.
pub(crate) struct Running {
    command: Command,
    load: Load,
    status: Option<ExitStatus>,
}

impl Running {
    pub(crate) fn new(command: Command, load: Load) -> Self {
        Self {
            command,
            load,
            status: None,
        }
    }

    /// Says what is waited for.
    pub(crate) fn add_interest<'a>(&'a self, fds: &mut Interest<'a>) {
        match &self.load {
            Load::Streams(streams) => {
                for fd in streams.iter().filter_map(Stream::interest).flatten() {
                    fds.add(fd);
                }
            }
            Load::Terminal(terminal) => terminal.add_interest(fds),
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
        match &mut self.load {
            Load::Streams(streams) => {
                for stream in streams.iter_mut().filter(|stream| !stream.has_ended()) {
                    let (source, sink) = (found.take(), found.take());
                    stream
                        .react(source, sink)
                        .map_err(Fatal::when("carrying a standard stream"))?;
                }
            }
            Load::Terminal(terminal) => terminal.react(found),
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

    /// Gives its terminal another size.
    pub(crate) fn resize(&self, size: WindowSize) {
        if let Load::Terminal(terminal) = &self.load {
            terminal.resize(size);
        }
    }

    /// Hangs its terminal up.
    pub(crate) fn hang_up(&mut self) {
        if let Load::Terminal(terminal) = &mut self.load {
            terminal.hang_up();
        }
    }

    /// How it ended, when all who could write to its outputs are gone and all that they wrote was
    /// sent.
    pub(crate) fn end_of_all(&self) -> Result<Option<ExitStatus>, Fatal> {
        match &self.load {
            Load::Streams(streams) => {
                let sent = streams.iter().all(Stream::has_sent_all);
                Ok(self.status.filter(|_| sent))
            }
            Load::Terminal(_) => self.end_of_command(),
        }
    }

    /// How it ended, when all that had been written by then was sent; others may hold its outputs
    /// still.
    pub(crate) fn end_of_command(&self) -> Result<Option<ExitStatus>, Fatal> {
        let Some(status) = self.status else {
            return Ok(None);
        };
        let has_more = || match &self.load {
            Load::Streams(streams) => streams.iter().try_fold(false, |some, stream| {
                Ok::<_, Errno>(some || stream.has_more()?)
            }),
            Load::Terminal(terminal) => terminal.has_more(),
        };
        let has_more = has_more().map_err(Fatal::when("asking for what is to be sent"))?;
        Ok((!has_more).then_some(status))
    }

    /// Lets go of its streams; the command, if it has to be waited for.
    pub(crate) fn leave(self) -> Option<Command> {
        self.status.is_none().then_some(self.command)
    }
}
