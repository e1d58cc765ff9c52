use launch::{Command, ExitStatus};
use serde::{Deserialize, Serialize};

/// Which of the sessions that are open at a time.
///
/// A session is a further command in a guest, in the root and the namespaces of the first. It has
/// [ports](crate::Ports) of its own, and a number may be given again when its session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionNumber(pub u8);

/// What a session runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execute {
    /// The command. Its limits and rights are those of the guest's first.
    pub command: Command,
    /// What it reads from and writes to.
    pub streams: SessionStreams,
}

/// What a session's command reads from and writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionStreams {
    /// Nothing to read and nobody who listens. The command goes on when the control connection
    /// ends.
    Null,
    /// Three streams, which are carried. The command is killed when the control connection ends.
    Three,
}

/// What the monitor says on a session's control connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToSession {
    /// The first message.
    Execute(Box<Execute>),
    /// Send this signal to the command.
    Signal(u8),
}

/// What the guest says on a session's control connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromSession {
    /// The command was executed.
    Executed,
    /// It ended, and what it had written by then was sent; or it could not be executed. The last
    /// message.
    Ended(ExitStatus),
    /// A step on the way to the command failed. The last message.
    Failed(entry::Failure),
}
