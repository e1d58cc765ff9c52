use serde::{Deserialize, Serialize};

use crate::statistics::{Interval, Summary};
use crate::{Contender, Metric};

/// What was found about many instances; `None` for what was not asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// What one more costs.
    pub density: Option<Density>,
    /// How long many take that are launched at once.
    pub concurrency: Option<Concurrency>,
    /// How soon memory that was freed is the host's again.
    pub elasticity: Option<Elasticity>,
}

/// Instances that are kept running, more and more of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Density {
    /// How many there were to be.
    pub asked: usize,
    /// What shows that one is there: that it is at main, or ready.
    pub metric: Metric,
    /// Each way, in the order in which they are shown.
    pub ways: Vec<DensityOfWay>,
}

/// Those of one way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DensityOfWay {
    /// Which way.
    pub contender: Contender,
    /// From none on, as far as it went.
    pub steps: Vec<DensityStep>,
    /// What one more takes of the host's available memory; `None` with fewer than two steps.
    pub per_instance: Option<PerInstance>,
    /// What one more's cgroup is charged that can't be reclaimed: that others work on the host does
    /// not change it, but it lacks what is charged to nobody.
    pub charged_per_instance: Option<PerInstance>,
    /// How many ran at last.
    pub ran: usize,
    /// Why there were no more.
    pub ended: LoadEnd,
}

/// The host while so many run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DensityStep {
    /// How many run.
    pub instances: usize,
    /// `MemAvailable` of the host, proc_meminfo(5), in bytes.
    pub available_bytes: u64,
    /// Whether that kept still before it was read.
    pub is_settled: bool,
    /// What the instances' cgroups are charged together that can't be reclaimed, in bytes; `None` if
    /// one has none.
    pub charged_bytes: Option<u64>,
    /// How long further ones took, in nanoseconds, each of which was ended before the next; `None`
    /// without any.
    pub launch_ns: Option<Summary>,
}

impl DensityOfWay {
    /// What a step has taken of the host's memory, in bytes: less than nothing if others gave some
    /// back meanwhile.
    pub fn taken_bytes(&self, step: &DensityStep) -> i64 {
        let before = self.steps.first().unwrap_or(step);
        before
            .available_bytes
            .cast_signed()
            .saturating_sub(step.available_bytes.cast_signed())
    }
}

/// What one more instance takes, in MiB.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PerInstance {
    /// The Theil-Sen slope over all steps.
    pub mib: f64,
    /// Where it lies, with a confidence of 95 %; `None` with fewer than five steps, of which no interval
    /// is that sure.
    pub interval_mib: Option<Interval>,
}

/// Why there were no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadEnd {
    /// All that were asked for were there.
    Complete,
    /// One could not be launched, or ended while it should have waited.
    Failed {
        /// Why, in one line.
        reason: String,
    },
    /// The host would have run out of memory.
    LowMemory {
        /// What it had left, in bytes.
        available_bytes: u64,
    },
    /// There was no time for more.
    OutOfTime,
    /// The user asked for the end.
    Interrupted,
}

/// Instances that are launched at the same moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Concurrency {
    /// How many.
    pub asked: usize,
    /// What was timed: to main, or until it was ready.
    pub metric: Metric,
    /// Each way, in the order in which they are shown.
    pub ways: Vec<ConcurrencyOfWay>,
}

/// Those of one way. Times are in nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConcurrencyOfWay {
    /// Which way.
    pub contender: Contender,
    /// Each one's, from its own launch on, those that failed left out.
    pub each_ns: Vec<u64>,
    /// The same in a few figures.
    pub summary: Option<Summary>,
    /// From the first launch until all were there; `None` if they never were.
    pub all_there_ns: Option<u64>,
    /// How many failed.
    pub failures: usize,
    /// Whether all were there, or else why not: the first reason.
    pub ended: LoadEnd,
}

/// What instances are charged while their command takes memory, and after it has freed that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elasticity {
    /// Each way, in the order in which they are shown.
    pub ways: Vec<ElasticityOfWay>,
}

/// That of one way. In bytes that can't be reclaimed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElasticityOfWay {
    /// Which way.
    pub contender: Contender,
    /// At main, before the command took any; `None` if it did not get there.
    pub at_main_bytes: Option<u64>,
    /// The most, until the command said that it had freed it; `None` likewise.
    pub most_bytes: Option<u64>,
    /// From then on.
    pub held: Vec<Held>,
    /// Whether it was followed to the end, or else why not.
    pub ended: LoadEnd,
}

/// What an instance is charged some time after its command has freed its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// How long after, in nanoseconds.
    pub after_ns: u64,
    /// What it was charged, in bytes.
    pub charged_bytes: u64,
}

impl ElasticityOfWay {
    pub(super) fn new(contender: Contender, ended: LoadEnd) -> Self {
        Self {
            contender,
            at_main_bytes: None,
            most_bytes: None,
            held: Vec::new(),
            ended,
        }
    }

    /// By how much it grew, in bytes.
    pub fn taken_bytes(&self) -> Option<u64> {
        Some(self.most_bytes?.saturating_sub(self.at_main_bytes?))
    }

    /// The share of that which was the host's again so many seconds later, in percent. More than all
    /// of it if memory came back, too, that was free before. `None` if it did not grow, or was not
    /// followed so far.
    pub fn returned_percent(&self, seconds: u64) -> Option<f64> {
        let after_ns = seconds.checked_mul(1_000_000_000)?;
        let held = self.held.iter().find(|it| it.after_ns >= after_ns)?;
        let taken = self.taken_bytes().filter(|taken| *taken > 0)?;
        let returned = self.most_bytes?.saturating_sub(held.charged_bytes);
        Some(returned as f64 / taken as f64 * 100.0)
    }
}
