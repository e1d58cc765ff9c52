use launch::{MonotonicNs, Span};

use crate::disk::OwnDisk;
use crate::{Captured, FootprintReading, ObservedReading, Outcome, Reported};

/// What came of one run.
#[derive(Debug)]
pub(crate) struct Run {
    /// How it ended; `None` if it was not followed so far.
    pub(crate) outcome: Option<Outcome>,
    /// The entry of `launch()`; `None` if that failed.
    pub(crate) started_at: Option<MonotonicNs>,
    pub(crate) launch_to_main_ns: Option<u64>,
    pub(crate) launch_to_ready_ns: Option<u64>,
    pub(crate) launch_to_exit_ns: Option<u64>,
    pub(crate) exit_to_gone_ns: Option<u64>,
    /// The processor time of its cgroup, to where it was followed; `None` if that is not counted, or
    /// nobody asked.
    pub(crate) cpu_ns: Option<u64>,
    /// The processor time that it used in a minute as it did nothing; `None` likewise.
    pub(crate) idle_cpu_ns: Option<u64>,
    /// From `SIGKILL` to the exit status, if it was killed for that.
    pub(crate) kill_to_exit_ns: Option<u64>,
    pub(crate) spans: Vec<Span>,
    pub(crate) footprint: FootprintReading,
    /// What it asked of the host's kernel, if that was to be counted.
    pub(crate) observed: Option<ObservedReading>,
    /// What it had for itself on the host's disks, if that was to be read and it came to main.
    pub(crate) own_disk: Option<OwnDisk>,
    pub(crate) stdout: Captured,
    pub(crate) stderr: Captured,
    /// What the command reported of itself, if it did and ended well.
    pub(crate) reported: Option<Reported>,
}

impl Run {
    /// Of one that failed before anything ran.
    pub(crate) fn not_launched(error: &launch::Error) -> Self {
        Self {
            outcome: Some(Outcome::failed(error)),
            started_at: None,
            launch_to_main_ns: None,
            launch_to_ready_ns: None,
            launch_to_exit_ns: None,
            exit_to_gone_ns: None,
            cpu_ns: None,
            idle_cpu_ns: None,
            kill_to_exit_ns: None,
            spans: Vec::new(),
            footprint: FootprintReading::unavailable("it was not launched"),
            observed: None,
            own_disk: None,
            stdout: Captured::nothing(),
            stderr: Captured::nothing(),
            reported: None,
        }
    }
}
