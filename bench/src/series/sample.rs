use launch::{MonotonicNs, Span};
use serde::{Deserialize, Serialize};

use crate::{Contender, Figure, Reported};

/// One timed run. All times are in nanoseconds of the host's `CLOCK_MONOTONIC`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Who ran.
    pub contender: Contender,
    /// Its place among all runs of the series, from 0.
    pub order: usize,
    /// The round, from 0; those of one round are a pair.
    pub round: usize,
    /// Whether it only warms up: it is in no figure.
    pub is_warm_up: bool,
    /// When `launch()` was entered.
    pub started_at: MonotonicNs,
    /// How it ended.
    pub outcome: SampleOutcome,
    /// From the entry of `launch()` to the doorbell.
    pub launch_to_main_ns: Option<u64>,
    /// From the entry of `launch()` to the first sign that it was ready, if one was looked for.
    pub launch_to_ready_ns: Option<u64>,
    /// From the entry of `launch()` to the exit status. `None` if the run was not followed so far.
    pub launch_to_exit_ns: Option<u64>,
    /// From the exit status until nothing of the instance was left. `None` likewise.
    pub exit_to_gone_ns: Option<u64>,
    /// What its cgroup was charged that can't be reclaimed, in bytes: two seconds after main or, if it was
    /// ended as soon as it was ready, then. `None` if it was not to be read, could not be, or the command
    /// had ended before.
    pub memory_bytes: Option<u64>,
    /// The processor time of its cgroup, with all that serves it, to where it was followed. `None` if
    /// it was not to be read, or is not counted.
    pub cpu_ns: Option<u64>,
    /// The processor time that it used in a minute as it did nothing. `None` likewise.
    pub idle_cpu_ns: Option<u64>,
    /// From `SIGKILL` to the exit status, if it was killed for that.
    pub kill_to_exit_ns: Option<u64>,
    /// Where the time went, to where the run was followed.
    pub spans: Vec<Span>,
    /// What the workload reported of itself, if it did and the run was followed to its end.
    pub reported: Option<Reported>,
}

/// How a timed run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SampleOutcome {
    /// It got to what was timed, and was not followed further.
    Reached,
    /// The command ended as it did in the run that was checked.
    Ended {
        /// Its exit code.
        exit_code: u8,
    },
    /// It did not. It is counted, and its times are in no figure.
    Failed {
        /// Why, in one line.
        reason: String,
    },
}

impl Sample {
    /// Whether its times say nothing.
    pub fn has_failed(&self) -> bool {
        matches!(self.outcome, SampleOutcome::Failed { .. })
    }

    /// What it reports of this; nothing if it failed.
    pub fn figure(&self, name: &str) -> Option<&Figure> {
        let reported = self.reported.as_ref().filter(|_| !self.has_failed());
        reported?.figure(name)
    }
}
