use launch::{Command, ExitStatus, Hostname, PidsLimit};
use serde::{Deserialize, Serialize};

/// What PID 1 is to run, sent once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The command.
    pub command: Command,
    /// The hostname it sees.
    pub hostname: Hostname,
    /// Whether `/` is read-only; otherwise writes go to guest memory.
    pub read_only: bool,
    /// How many processes and threads it may have.
    pub pids: Option<PidsLimit>,
}

/// What the monitor says on the control connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToGuest {
    /// The first message: what to run.
    Start(Start),
    /// Send this signal to the command.
    Signal(u8),
}

/// What the guest says on the control connection, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToHost {
    /// The command ended, or could not be executed; its output has been sent.
    Ended(ExitStatus),
    /// A step on the way to the command failed.
    Failed(entry::Failure),
}
