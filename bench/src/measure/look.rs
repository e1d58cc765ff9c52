use std::path::PathBuf;
use std::time::Duration;

use launch::Side;

use crate::{Interrupt, Metric, Readiness};

/// How far a run is followed. It is killed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// To the doorbell before the command's `execve`.
    Main,
    /// Until its footprint is read, 2 s after that.
    Settled,
    /// Until it is ready.
    Ready,
    /// To the end of the command.
    End,
}

/// How a run is looked at.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    pub(crate) until: Until,
    /// What shows that it is ready, if that is of interest.
    pub(crate) readiness: Option<&'a Readiness>,
    /// What is measured besides what each run tells. It can't be had for nothing.
    pub(crate) metrics: &'a [Metric],
    /// Whether what it asks of the host's kernel is counted, and of which side it is.
    pub(crate) observes: Option<Side>,
    /// Whether what it has for itself on the host's disks is read, and which volumes are among that.
    pub(crate) own_volumes: Option<&'a [PathBuf]>,
    /// Whether it is the run that is checked, of which more is read than can be had for nothing: what
    /// memory a guest has, when its footprint is read, and what was charged at the end.
    pub(crate) is_checked: bool,
    /// Whether the processor time is read all the time, for what the workload reports.
    pub(crate) follows_cpu: bool,
    /// One that has not come so far when this is at its end is killed, and has failed.
    pub(crate) patience: Duration,
    pub(crate) interrupt: &'a Interrupt,
}

impl<'a> Look<'a> {
    /// One for nothing but what each run tells.
    pub(crate) fn new(until: Until, patience: Duration, interrupt: &'a Interrupt) -> Self {
        Self {
            until,
            readiness: None,
            metrics: &[],
            observes: None,
            own_volumes: None,
            is_checked: false,
            follows_cpu: false,
            patience,
            interrupt,
        }
    }

    pub(crate) fn wants(&self, metric: Metric) -> bool {
        self.metrics.contains(&metric)
    }
}
