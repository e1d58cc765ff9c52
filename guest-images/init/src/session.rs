use std::fs::File;

use entry::Failure;
use guest_protocol::{
    End, Execute, FromSession, Ports, SessionNumber, SessionStreams, ToSession, Users,
    read_message, write_message,
};
use launch::{ExitStatus, GuestMemory, Stdio};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

use crate::command::{Command, Started};
use crate::connections::Streams;
use crate::ends::{self, TheirEnds};
use crate::fatal::Fatal;
use crate::interest::{Found, Interest};
use crate::load::Load;
use crate::out_of_memory::MemoryWatch;
use crate::running::Running;

/// What it takes to have sessions.
pub(crate) trait Means {
    /// Connects to the control port of `ports`. The connection blocks: who sends a part of a
    /// message sends the rest.
    fn connect_control(&self, ports: Ports) -> Result<File, Errno>;

    /// Connects to the other ports.
    fn connect_streams(&self, ports: Ports) -> Result<Streams, Errno>;

    /// Streams with nothing to read and nobody who listens.
    fn null_streams(&self) -> Result<Stdio, Fatal>;

    /// Looks out for processes that are killed for lack of memory.
    fn watch_memory(&self) -> Result<MemoryWatch, Errno>;

    /// What the first one's root says of users.
    fn users(&self) -> Result<Users, Errno>;

    /// What the kernel says of its memory.
    fn memory(&self) -> Result<GuestMemory, Errno>;

    /// Starts a command beside the first one. When this returns it was executed, or that failed;
    /// our copies of its ends are closed.
    fn start(&self, execute: &Execute, ends: TheirEnds) -> Result<Started, Fatal>;
}

/// A further command, and what is said about it. Whatever goes wrong with it is nobody else's
/// affair.
pub(crate) struct Session {
    number: SessionNumber,
    /// `None` when the host is not interested any more.
    control: Option<File>,
    /// From when on the command runs; `None` if the kernel's log can't be read.
    memory: Option<MemoryWatch>,
    state: State,
}

enum State {
    /// It is not known what to run.
    Waiting,
    Running(Running),
    /// Only to be waited for.
    Left(Command),
    Over,
}

impl Session {
    /// Connects to its port, if the host still wants that.
    pub(crate) fn open(number: SessionNumber, means: &impl Means) -> Option<Self> {
        Some(Self {
            number,
            control: Some(means.connect_control(Ports::of(number)).ok()?),
            memory: None,
            state: State::Waiting,
        })
    }

    /// Whether nothing is left to be done for it.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Says what is waited for.
    pub(crate) fn add_interest<'a>(&'a self, fds: &mut Interest<'a>) {
        if let Some(control) = &self.control {
            fds.add(PollFd::new(control, PollFlags::IN));
        }
        match &self.state {
            State::Running(running) => running.add_interest(fds),
            State::Left(command) => {
                fds.add(PollFd::from_borrowed_fd(command.ended(), PollFlags::IN));
            }
            State::Waiting | State::Over => {}
        }
    }

    /// Does what is to be done about what was found.
    pub(crate) fn react(&mut self, found: &mut Found, means: &impl Means) {
        let has_word = self.control.is_some() && !found.take().is_empty();
        let carried = match &mut self.state {
            State::Running(running) => running.react(found),
            State::Left(command) => {
                if !found.take().is_empty() {
                    // It was found to have ended, so this neither waits nor fails.
                    let _ = command.wait();
                    self.state = State::Over;
                }
                Ok(())
            }
            State::Waiting | State::Over => Ok(()),
        };
        let done = carried.and_then(|()| match has_word {
            true => self.hear(means),
            false => Ok(()),
        });
        match done {
            Ok(()) => self.tell_end(),
            // It can't be told why: it is known here only, and the connection may be what failed.
            Err(_) => self.abandon(),
        }
    }

    /// Ends it, whatever it is doing.
    pub(crate) fn abandon(&mut self) {
        let kill = libc::SIGKILL as u8;
        match &self.state {
            State::Running(running) => running.signal(kill),
            State::Left(command) => command.signal(kill),
            State::Waiting | State::Over => {}
        }
        self.leave();
    }

    /// Lets the command go its way.
    fn leave(&mut self) {
        self.control = None;
        self.state = match std::mem::replace(&mut self.state, State::Over) {
            State::Running(running) => running.leave().map_or(State::Over, State::Left),
            State::Left(command) => State::Left(command),
            State::Waiting | State::Over => State::Over,
        };
    }

    fn hear(&mut self, means: &impl Means) -> Result<(), Fatal> {
        let Some(control) = &mut self.control else {
            return Ok(());
        };
        match (read_message(control)?, &mut self.state) {
            (Some(ToSession::Execute(execute)), State::Waiting) => self.execute(&execute, means),
            (Some(ToSession::TellUsers), State::Waiting) => {
                let users = means.users().map_err(Errno::raw_os_error);
                self.say_last(FromSession::Users(users))
            }
            (Some(ToSession::TellMemory), State::Waiting) => {
                let memory = means.memory().map_err(Errno::raw_os_error);
                self.say_last(FromSession::Memory(memory))
            }
            (Some(ToSession::Signal(number)), State::Running(running)) => {
                running.signal(number);
                Ok(())
            }
            (Some(ToSession::Resize(size)), State::Running(running)) => {
                running.resize(size);
                Ok(())
            }
            (Some(ToSession::HangUp), State::Running(running)) => {
                running.hang_up();
                Ok(())
            }
            // Before the first message and after the last there is nothing to be told.
            (Some(ToSession::Signal(_) | ToSession::Resize(_) | ToSession::HangUp), _) => Ok(()),
            (
                Some(ToSession::Execute(_) | ToSession::TellUsers | ToSession::TellMemory) | None,
                _,
            ) => Err(Fatal::HostGone),
        }
    }

    fn execute(&mut self, execute: &Execute, means: &impl Means) -> Result<(), Fatal> {
        let terminal = execute.streams.terminal();
        let (ours, theirs) = if execute.streams == SessionStreams::Null {
            (None, TheirEnds::of(means.null_streams()?))
        } else {
            let connections = means
                .connect_streams(Ports::of(self.number))
                .map_err(Fatal::when("connecting to the host"))?;
            let (ours, theirs) = ends::make()?;
            theirs.give_to(execute.command.credentials())?;
            (Some((ours, connections)), theirs)
        };
        self.memory = means.watch_memory().ok();
        match means.start(execute, theirs)? {
            Started::Running(command) => {
                // Before anything else can fail, so that it is waited for.
                self.state = State::Left(command);
                self.say(FromSession::Executed)?;
                match ours {
                    Some((ours, connections)) => {
                        let load = ours.joined_to(connections, terminal)?;
                        self.carry(load);
                    }
                    None => self.leave(),
                }
                Ok(())
            }
            Started::Failed(failure) => self.say_last(not_executed(failure)),
        }
    }

    fn carry(&mut self, load: Load) {
        self.state = match std::mem::replace(&mut self.state, State::Over) {
            State::Left(command) => State::Running(Running::new(command, load)),
            other => other,
        };
    }

    fn tell_end(&mut self) {
        if let State::Running(running) = &self.state {
            match running.end_of_command() {
                Ok(None) => {}
                Ok(Some(status)) => {
                    let end = End {
                        status,
                        out_of_memory: self.ran_out_of_memory(status),
                    };
                    // If nobody listens, nobody wanted to know.
                    let _ = self.say(FromSession::Ended(end));
                    self.leave();
                }
                Err(_) => self.abandon(),
            }
        }
    }

    /// That of one that was not killed is not asked for.
    fn ran_out_of_memory(&mut self, status: ExitStatus) -> bool {
        const KILLED: ExitStatus = ExitStatus::Signaled(libc::SIGKILL as u8);
        status.code() == KILLED.code()
            && self
                .memory
                .take()
                .is_some_and(|watch| watch.has_killed().unwrap_or(false))
    }

    fn say_last(&mut self, what: FromSession) -> Result<(), Fatal> {
        self.say(what)?;
        self.leave();
        Ok(())
    }

    fn say(&mut self, what: FromSession) -> Result<(), Fatal> {
        match &mut self.control {
            Some(control) => Ok(write_message(control, &what)?),
            None => Ok(()),
        }
    }
}

fn not_executed(failure: Failure) -> FromSession {
    match failure.exit_status() {
        Some(status) => FromSession::Ended(End {
            status,
            out_of_memory: false,
        }),
        None => FromSession::Failed(failure),
    }
}
