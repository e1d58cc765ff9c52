use std::fmt;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use crate::{
    DiskFiles, Endpoint, Error, ExitStatus, Finding, Footprint, GuestMemory, InstanceId, Stdio,
    Surface, Timeline, WindowSize, Workload,
};

/// Which of the two ways a workload runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Processes on the host's kernel, in namespaces and a cgroup.
    Container,
    /// A guest kernel of its own, on KVM.
    Vm,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Container => "container",
            Self::Vm => "vm",
        })
    }
}

/// Something that one side can't do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{flag} is not possible with --as {side}")]
pub struct Unsupported {
    /// What was asked for, as it is typed.
    pub flag: &'static str,
    /// Of which side.
    pub side: Side,
}

impl From<Unsupported> for Error {
    fn from(error: Unsupported) -> Self {
        Self::new(error)
    }
}

/// Told of long work in [`Launcher::prepare`], so that nobody waits in front of a silent screen.
pub trait Progress: Sync {
    /// A new piece of work starts, named in a short phrase ("building the disk image").
    fn begin(&self, what: &str);
    /// The current piece has come this far, `done` of `total`, in any unit.
    fn advance(&self, done: u64, total: u64);
    /// The current piece is finished.
    fn end(&self);
    /// Something that was asked for is done another way, in a sentence that says why.
    fn note(&self, what: &str);
}

/// Shows nothing.
pub struct NoProgress;

impl Progress for NoProgress {
    fn begin(&self, _what: &str) {}
    fn advance(&self, _done: u64, _total: u64) {}
    fn end(&self) {}
    fn note(&self, _what: &str) {}
}

/// One side: a way to run workloads.
pub trait Launcher {
    /// Which side this is.
    fn side(&self) -> Side;

    /// Looks at the host: what this side needs, what is there, and what to do about the rest.
    /// Takes milliseconds and changes nothing.
    fn probe(&self) -> Vec<Finding>;

    /// What of the host's kernel can be reached from an instance of `workload`.
    ///
    /// # Errors
    ///
    /// When that can't be told, as [`prepare`](Self::prepare) will fail for the same reason.
    fn surface(&self, workload: &Workload) -> Result<Surface, Error>;

    /// Does for `workload` what may be cached and does not count as startup.
    ///
    /// # Errors
    ///
    /// When a field of the workload can't be honoured by this side, which is named; and when
    /// something that the launch needs can't be found or made.
    fn prepare(
        &self,
        workload: &Workload,
        progress: &dyn Progress,
    ) -> Result<Box<dyn Prepared>, Error>;
}

/// A workload that is ready to be launched, any number of times.
pub trait Prepared: Send + Sync {
    /// What its instances need on the host's disks, apart from what each has for itself.
    fn disk_files(&self) -> DiskFiles;

    /// Starts the workload. The timeline's zero is the entry of this function.
    ///
    /// Returns when the start can no longer fail for a reason that is found out early; what fails
    /// later is reported by [`Running::wait`]. Call it while the process has one thread if you
    /// can: what is forked then is cheapest.
    ///
    /// # Errors
    ///
    /// When the launcher failed. A command that can't be executed is not such a failure but an
    /// [`ExitStatus`].
    fn launch(&self, stdio: Stdio) -> Result<Box<dyn Instance>, Error>;
}

/// A command that was started. All methods may be called from any thread.
///
/// Dropping it kills the command if it still runs.
pub trait Running: Send + Sync {
    /// Sends `signal` to the command, as `kill(2)` to its process would. One sent before the
    /// command runs is delivered when it does; one sent after its end is ignored.
    ///
    /// # Errors
    ///
    /// When the command can't be reached.
    fn signal(&self, signal: Signal) -> Result<(), Error>;

    /// Tells the command's terminal that it has another size; one without a terminal is not told.
    ///
    /// # Errors
    ///
    /// When the command can't be reached.
    fn resize(&self, size: WindowSize) -> Result<(), Error>;

    /// Waits until the command was executed; how it ended instead if it could not be.
    ///
    /// # Errors
    ///
    /// When the launcher failed.
    fn wait_executed(&self) -> Result<Option<ExitStatus>, Error>;

    /// Waits for the end of the command, with its output delivered; `None` if `timeout` was
    /// given and passed first. May be called again, with the same answer.
    ///
    /// # Errors
    ///
    /// When the launcher failed: the command's status is then unknown.
    fn wait(&self, timeout: Option<Duration>) -> Result<Option<ExitStatus>, Error>;

    /// Whether the kernel killed a process because memory ran out while the command ran: one of the
    /// instance's, whose memory or the host's it was. To be asked after its end. One without a cgroup
    /// of its own has not been seen to be.
    ///
    /// # Errors
    ///
    /// When it can't be read.
    fn out_of_memory(&self) -> Result<bool, Error>;
}

/// A workload that was started, with the command that it was started for.
///
/// Dropping it kills what still runs and removes everything that the instance owned: processes,
/// cgroup, mounts, files.
pub trait Instance: Running {
    /// The name it goes by.
    fn id(&self) -> &InstanceId;

    /// Waits until the doorbell rang, immediately before the command's `execve`. `false` when
    /// the instance ended without ringing it.
    ///
    /// # Errors
    ///
    /// When the launcher failed.
    fn wait_main(&self) -> Result<bool, Error>;

    /// The host's number of the process that others find it by: the command's, or that of the
    /// monitor. It is that process's as long as nobody has waited for the end.
    ///
    /// # Errors
    ///
    /// When it can't be found out.
    fn pid(&self) -> Result<i32, Error>;

    /// Where it is found, if it has a network of its own that leads further than to itself.
    fn endpoint(&self) -> Option<Endpoint>;

    /// Where the time went so far.
    fn timeline(&self) -> Timeline;

    /// What the instance costs the host now; after its end only the peak is of interest.
    ///
    /// # Errors
    ///
    /// When the instance has no cgroup of its own to be read (an ordinary user without
    /// delegation), or it can't be read.
    fn footprint(&self) -> Result<Footprint, Error>;

    /// What a guest's kernel says of its memory now. To answer takes the guest some time and memory.
    /// `None` unless an instance says otherwise: only a guest has a memory of its own, and only one
    /// with somebody in it who answers can be asked.
    ///
    /// # Errors
    ///
    /// When it can't be asked, or does not answer within seconds.
    fn guest_memory(&self) -> Result<Option<GuestMemory>, Error> {
        Ok(None)
    }

    /// The processor time that the instance's cgroup has used so far, with all that serves it, in
    /// nanoseconds. `None` if that is not counted: where each kind of figure needs a cgroup of its own,
    /// it is only of a [`Workload`] that is [supervised](Workload::supervised).
    ///
    /// # Errors
    ///
    /// When it can't be read.
    fn cpu_ns(&self) -> Result<Option<u64>, Error>;
}
