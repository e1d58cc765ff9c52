use launch::{Command, GuestMemory, WindowSize};
use serde::{Deserialize, Serialize};

use crate::End;

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
    /// A terminal, of this size at first: what is typed comes as standard input, and what it shows
    /// goes out as standard output. The command is killed when the control connection ends.
    Terminal(WindowSize),
}

impl SessionStreams {
    /// The size at first of the terminal, if there is one.
    pub fn terminal(self) -> Option<WindowSize> {
        match self {
            Self::Terminal(size) => Some(size),
            Self::Null | Self::Three => None,
        }
    }
}

/// What the root of a guest's commands says of users and groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Users {
    /// `/etc/passwd`.
    pub passwd: UserFile,
    /// `/etc/group`.
    pub group: UserFile,
}

/// One of the two files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserFile {
    /// What it holds; nothing, if there is none.
    Bytes(Vec<u8>),
    /// It is something else than a file.
    NotRegular,
    /// It has more than [`MAX_USERS_BYTES`].
    TooLong,
}

/// Most that is read of each, in bytes: some ten thousand users. Both fit into a message.
pub const MAX_USERS_BYTES: u64 = 1 << 20;

/// What the monitor says on a session's control connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToSession {
    /// The only message: tell what users there are, which is all that the session is for.
    TellUsers,
    /// The first message.
    Execute(Box<Execute>),
    /// Send this signal to the command.
    Signal(u8),
    /// Its terminal has another size.
    Resize(WindowSize),
    /// Nobody is at its terminal any more.
    HangUp,
    /// The only message: tell of the guest's memory, which is all that the session is for.
    TellMemory,
}

/// What the guest says on a session's control connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromSession {
    /// What was asked for, or the `errno` with which that failed. The last message.
    Users(Result<Users, i32>),
    /// The command was executed.
    Executed,
    /// It ended, and what it had written by then was sent; or it could not be executed. The last
    /// message.
    Ended(End),
    /// A step on the way to the command failed. The last message.
    Failed(entry::Failure),
    /// What was asked for, or the `errno` with which that failed. The last message.
    Memory(Result<GuestMemory, i32>),
}
