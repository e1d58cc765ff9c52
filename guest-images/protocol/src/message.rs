use entry::NameFiles;
use launch::{Command, ExitStatus, Hostname, Mount, PidsLimit, Security, Ulimit, WindowSize};
use serde::{Deserialize, Serialize};

use crate::{Disk, Entropy, Interface, SessionNumber};

/// What PID 1 is to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The command.
    pub command: Command,
    /// The hostname it sees.
    pub hostname: Hostname,
    /// What names are looked up in.
    pub files: NameFiles,
    /// What is mounted in its root, in this order. What is bound is the guest's: the host's files
    /// are at their [`share_path`](crate::share_path).
    pub mounts: Vec<Mount>,
    /// Its disks besides that of its root, in the order of their places.
    pub disks: Vec<Disk>,
    /// The size at first of the terminal that it has in place of three streams: what is typed comes
    /// as standard input, and what it shows goes out as standard output.
    pub terminal: Option<WindowSize>,
    /// Whether an init of ours is its parent, and process 1 of what it sees.
    pub init: bool,
    /// Limits of its processes.
    pub ulimits: Vec<Ulimit>,
    /// Whether `/` is read-only; otherwise writes go to guest memory.
    pub read_only: bool,
    /// How many processes and threads it may have.
    pub pids: Option<PidsLimit>,
    /// What it may do. Which system calls it may make is not looked at: they are to a kernel of
    /// its own.
    pub security: Security,
}

/// What sets a machine apart from all others that go on from the same snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incarnation {
    /// Seeds the guest's random numbers.
    pub entropy: Entropy,
    /// The host's `CLOCK_REALTIME` when this was sent, in nanoseconds since 1970.
    pub wall_clock_ns: u64,
    /// What connects it to a network, if anything does.
    pub interface: Option<Interface>,
}

/// What makes one guest of a machine that waits for its task, sent once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// What to run.
    pub task: Task,
    /// Taken on before anything of the task runs.
    pub incarnation: Incarnation,
    /// Size of the root disk, in sectors of 512 bytes. Until the guest's driver has seen that the
    /// disk was put in, it shows another.
    pub disk_sectors: u64,
}

/// What the monitor says on the control connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToGuest {
    /// The first message.
    Start(Box<Start>),
    /// Send this signal to the command.
    Signal(u8),
    /// The machine was saved while the command ran, and goes on from there.
    Restored(Incarnation),
    /// Connect to this session's control port, to be told what to run there.
    OpenSession(SessionNumber),
    /// The command's terminal has another size.
    Resize(WindowSize),
    /// Nobody is at the command's terminal any more.
    HangUp,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// By itself or by a signal, or that it never ran.
    pub status: ExitStatus,
    /// Whether the guest's kernel killed a process while it ran, because memory ran out.
    pub out_of_memory: bool,
}

/// What the guest says on the control connection, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToHost {
    /// The command ended, or could not be executed; its output has been sent.
    Ended(End),
    /// A step on the way to the command failed.
    Failed(entry::Failure),
}
