use guest_protocol::End;
use launch::WindowSize;
use serde::{Deserialize, Serialize};

use crate::monitor::Reason;

/// What the asker says, after the command and its streams, which come as descriptors. When it
/// closes the connection, its command is killed, unless that has no streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ExecWord {
    /// Send this signal to the command.
    Signal(u8),
    /// Its terminal has another size.
    Resize(WindowSize),
}

/// What the asker is told. The connection is closed without a last message if the instance ends
/// before the command does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ExecNews {
    /// The command was executed.
    Executed,
    /// It ended, and its output was written; or it could not be executed. The last message.
    Ended(End),
    /// It could not be started, and that is not its own fault. The last message.
    Failed(Reason),
}
