use std::error::Error;

use guest_protocol::{End, Mark};
use launch::{Chain, MonotonicNs, WindowSize};
use serde::{Deserialize, Serialize};

use crate::builder::Step;

/// Longest text of a failure, in bytes: a few lines.
const MAX_TEXT_BYTES: usize = 4096;

/// What the launcher says, after the first packet, which carries the descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ToMonitor {
    /// Send this signal to the command.
    Signal(u8),
    /// Its terminal has another size.
    Resize(WindowSize),
}

/// What the monitor says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ToLauncher {
    /// The machine is built and about to run, after these phases, each with the moment of its end.
    /// In one message: each wakes the launcher, on a processor that building may need.
    Built(Vec<(Phase, MonotonicNs)>),
    /// A phase ended at this moment.
    Reached(Phase, MonotonicNs),
    /// The command ended, and all its output was written; the last message.
    Ended(End, MonotonicNs),
    /// The instance failed; the last message.
    Failed(Reason),
}

/// Why something failed, as the launcher's user is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reason {
    /// In one line.
    pub(crate) why: String,
    /// What the user can do, if anything is known.
    pub(crate) remedy: Option<String>,
}

impl Reason {
    /// An error with its causes.
    pub(crate) fn new(error: &dyn Error, remedy: Option<&str>) -> Self {
        let mut why = Chain(error).to_string();
        why.truncate(why.floor_char_boundary(MAX_TEXT_BYTES));
        let remedy = remedy.map(str::to_owned);
        Self { why, remedy }
    }
}

/// A stretch of a launch that the monitor sees the end of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// The monitor is started and told what to do.
    Spawn,
    /// Guest memory is mapped.
    Memory,
    /// The virtual machine is created.
    Create,
    /// The devices are made and put on the bus.
    Devices,
    /// Kernel and init are brought into guest memory.
    KernelLoad,
    /// The processor is set up.
    Vcpu,
    /// Processor, interrupt controllers and clock have their saved state.
    Restore,
    /// The monitor gives up whatever it does not need to run the machine.
    Jail,
    /// From the first instruction to PID 1.
    KernelBoot,
    /// PID 1 prepares all that depends on no workload.
    Init,
    /// PID 1 opens its connections and is told what to run.
    Connect,
    /// The root file system is mounted.
    RootMount,
    /// The process is made that becomes the command.
    Exec,
    /// The command is executed: the first thing that happens in a run.
    Executed,
}

impl Phase {
    /// Its name in a timeline.
    pub(crate) fn span(self) -> &'static str {
        match self {
            Self::Spawn => "spawn",
            Self::Memory => "memory",
            Self::Create => "create",
            Self::Devices => "devices",
            Self::KernelLoad => "kernel load",
            Self::Vcpu => "vcpu",
            Self::Restore => "restore",
            Self::Jail => "jail",
            Self::KernelBoot => "kernel boot",
            Self::Init => "init",
            Self::Connect => "connect",
            Self::RootMount => "root mount",
            Self::Exec => "exec",
            Self::Executed => "execve",
        }
    }
}

impl From<Step> for Phase {
    fn from(step: Step) -> Self {
        match step {
            Step::Memory => Self::Memory,
            Step::Create => Self::Create,
            Step::Devices => Self::Devices,
            Step::KernelLoad => Self::KernelLoad,
            Step::Vcpu => Self::Vcpu,
            Step::Restore => Self::Restore,
        }
    }
}

impl From<Mark> for Phase {
    fn from(mark: Mark) -> Self {
        match mark {
            Mark::Init => Self::KernelBoot,
            Mark::Ready => Self::Init,
            Mark::Started => Self::Connect,
            Mark::Root => Self::RootMount,
            Mark::Main => Self::Exec,
            Mark::Executed => Self::Executed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_with_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] std::io::Error);
        let error = Outer(std::io::Error::other("inner"));
        assert_eq!(Reason::new(&error, None).why, "outer: inner");
    }

    #[test]
    fn a_failure_fits_into_a_packet() {
        let error = std::io::Error::other("ä".repeat(MAX_TEXT_BYTES));
        assert_eq!(Reason::new(&error, None).why.len(), MAX_TEXT_BYTES);
    }
}
