use launch::{Chain, ExitStatus, Footprint, GuestMemory, MemorySwap, Span, Workload};
use serde::{Deserialize, Serialize};

use crate::load::Load;
use crate::measure::Run;
use crate::units::size;
use crate::{
    Captured, Contender, Difference, DiskUse, Durability, Environment, FigureResult, Isolation,
    MetricResult, Reported, Series, Warning, Way, Ways,
};

/// What `jaula compare` found. Every duration is in nanoseconds of the host's clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// What ran, the same each way.
    pub workload: WorkloadFacts,
    /// Where it ran.
    pub environment: Environment,
    /// What came of each way.
    pub ways: Ways<WayReport>,
    /// How the standard outputs differ, of reported figures by their names alone: of those ways that could run the command, each is held
    /// against the one before it.
    pub stdout_differences: Vec<Difference>,
    /// How the standard errors differ, likewise.
    pub stderr_differences: Vec<Difference>,
    /// Those beside the three ways that the comparison was against.
    pub others: Vec<OtherReport>,
    /// The timed runs; `None` if none were asked for, or only one way could run the command.
    pub series: Option<Series>,
    /// What follows from them, metric by metric.
    pub results: Vec<MetricResult>,
    /// What the workload reports of itself, figure by figure; of the runs that were checked, if none
    /// was timed.
    pub figures: Vec<FigureResult>,
    /// What files that it reads and writes are worth, on each side.
    #[serde(default)]
    pub durability: Vec<Durability>,
    /// What was found about many instances at once.
    pub load: Load,
    /// Mistakes that the reader should think of.
    pub warnings: Vec<Warning>,
}

impl Comparison {
    /// Whether the workload reports how files are read or written: of the probes, by the beginning of
    /// their figures' names.
    pub(crate) fn has_figures_of_files(&self) -> bool {
        const OF_FILES: [&str; 3] = ["read-4k-first", "read-128k-first", "write-4k"];
        let mut figures = self.figures.iter();
        figures.any(|it| OF_FILES.iter().any(|name| it.figure.starts_with(name)))
    }
}

/// The part of a [`Workload`] that figures must be read with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadFacts {
    /// The command and its arguments; bytes that are no UTF-8 are replaced.
    pub argv: Vec<String>,
    /// Digest of the root file system.
    pub root_digest: String,
    /// The memory limit, in bytes. Without one a guest has a default size and a container has
    /// the host's memory.
    pub memory_limit_bytes: Option<u64>,
    /// The limit of processor time, in thousandths of a CPU.
    pub cpu_limit_milli_cpus: Option<u32>,
    /// The limit of processes and threads.
    pub pids_limit: Option<u32>,
    /// What other limits there are, in words.
    pub further_limits: Vec<String>,
}

impl From<&Workload> for WorkloadFacts {
    fn from(workload: &Workload) -> Self {
        let resources = &workload.resources;
        Self {
            argv: workload
                .command
                .argv()
                .iter()
                .map(|argument| argument.to_string_lossy().into_owned())
                .collect(),
            root_digest: workload.root.digest.to_string(),
            memory_limit_bytes: resources.memory.map(|limit| limit.bytes()),
            cpu_limit_milli_cpus: resources.cpus.map(|limit| limit.milli_cpus()),
            pids_limit: resources.pids.map(|limit| limit.get()),
            further_limits: further_limits(workload),
        }
    }
}

fn further_limits(workload: &Workload) -> Vec<String> {
    let resources = &workload.resources;
    let swap = resources.memory_swap.map(|swap| match swap {
        MemorySwap::Unlimited => "swap none".to_owned(),
        MemorySwap::Total(limit) => format!("memory and swap {}", size(limit.bytes())),
    });
    let cpuset = resources
        .cpuset
        .as_ref()
        .map(|it| format!("only CPUs {it}"));
    let ulimits = workload.ulimits.iter().map(|it| {
        let (soft, hard) = (it.soft, it.hard);
        format!("resource {} {soft} to {hard}", it.resource)
    });
    swap.into_iter().chain(cpuset).chain(ulimits).collect()
}

/// The run that was checked, before any was timed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WayReport {
    /// Which way it ran.
    pub way: Way,
    /// How it ended.
    pub outcome: Outcome,
    /// From the entry of `launch()` to the doorbell immediately before the command's `execve`;
    /// `None` if it did not get there.
    pub launch_to_main_ns: Option<u64>,
    /// From the entry of `launch()` to the first sign that it was ready, if one was looked for.
    pub launch_to_ready_ns: Option<u64>,
    /// From the entry of `launch()` to the end of the last span: the exit status is known.
    pub launch_to_exit_ns: Option<u64>,
    /// Where the time went: contiguous, in order, summing to the above.
    pub spans: Vec<Span>,
    /// What the instance cost the host in memory.
    pub footprint: FootprintReading,
    /// What it took of the host's disks; `None` if that could not be read.
    pub disk: Option<DiskUse>,
    /// What stands between the command and the host; `None` if it could not be told.
    pub isolation: Option<Isolation>,
    /// What the command wrote to standard output.
    pub stdout: Captured,
    /// What the command wrote to standard error.
    pub stderr: Captured,
    /// What the command reported of itself, if it did.
    pub reported: Option<Reported>,
}

/// One beside the three ways, as it was when it was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherReport {
    /// Who.
    pub contender: Contender,
    /// How its run ended. It is timed if that is how the container's did.
    pub outcome: Outcome,
    /// Whether its standard output was the container's, or that of the way that this `jaula run` goes,
    /// byte for byte, or its figures had the names of theirs.
    pub is_output_alike: bool,
    /// The beginning of what it wrote to standard error, if it did not end as the container did.
    pub complaint: Option<String>,
}

impl Ways<WayReport> {
    /// What the others must come to: the container's run, or that of the first that could run it.
    pub(crate) fn first_that_ran(&self) -> Option<&WayReport> {
        let mut reports = self.as_ref().into_array().into_iter();
        reports.find(|it| it.outcome.has_run())
    }
}

impl WayReport {
    pub(crate) fn new(way: Way, outcome: Outcome, run: Run) -> Self {
        Self {
            way,
            outcome,
            launch_to_main_ns: run.launch_to_main_ns,
            launch_to_ready_ns: run.launch_to_ready_ns,
            launch_to_exit_ns: run.launch_to_exit_ns,
            spans: run.spans,
            footprint: run.footprint,
            disk: None,
            isolation: None,
            stdout: run.stdout,
            stderr: run.stderr,
            reported: run.reported,
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The command ended, or could not be executed.
    Ended {
        /// How.
        status: ExitStatus,
        /// The same as an exit code.
        exit_code: u8,
    },
    /// It was ready, and was not followed further.
    Ready,
    /// The launcher failed, or could not be prepared.
    Failed {
        /// Why, with its causes, in one line.
        error: String,
        /// What the user can do about it.
        remedy: Option<String>,
    },
}

impl Outcome {
    /// Whether it came as far as it was followed.
    pub fn has_run(&self) -> bool {
        !matches!(self, Self::Failed { .. })
    }

    pub(crate) fn failed(error: &launch::Error) -> Self {
        Self::Failed {
            error: Chain(error).to_string(),
            remedy: error.remedy().map(str::to_owned),
        }
    }

    /// There is nothing that the user could do about this.
    pub(crate) fn without_remedy(error: String) -> Self {
        let remedy = None;
        Self::Failed { error, remedy }
    }

    /// Whether the command came to the same.
    pub fn is_like(&self, other: &Self) -> bool {
        self.has_run() && other.has_run() && self.exit_code() == other.exit_code()
    }

    /// The command's exit code, if it ended.
    pub fn exit_code(&self) -> Option<u8> {
        match self {
            Self::Ended { exit_code, .. } => Some(*exit_code),
            Self::Ready | Self::Failed { .. } => None,
        }
    }
}

impl From<ExitStatus> for Outcome {
    fn from(status: ExitStatus) -> Self {
        Self::Ended {
            status,
            exit_code: status.code(),
        }
    }
}

/// When a footprint was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FootprintMoment {
    /// Two seconds after the doorbell, while the command ran.
    TwoSecondsAfterMain,
    /// As soon as the workload was ready, before it was ended.
    Ready,
    /// The command had ended before: only the peak says something.
    AfterExit,
}

/// A footprint, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FootprintReading {
    /// It was read.
    Taken {
        /// When.
        moment: FootprintMoment,
        /// The figures.
        footprint: Footprint,
        /// What its processes have in memory by another count, in bytes: the sum of their proportional
        /// shares (PSS). `None` if it had ended, or that can't be read.
        pss_bytes: Option<u64>,
        /// What its guest's kernel said of its memory then. `None` if it has none, had ended, or did not
        /// answer.
        guest_memory: Option<GuestMemory>,
    },
    /// It could not be read.
    Unavailable {
        /// Why, in one line.
        reason: String,
    },
}

impl FootprintReading {
    pub(crate) fn unavailable(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::Unavailable { reason }
    }

    /// The same with the peak of a later one, which is that of the whole run.
    pub(crate) fn with_peak_of(mut self, later: &Self) -> Self {
        if let (
            Self::Taken { footprint, .. },
            Self::Taken {
                footprint: later, ..
            },
        ) = (&mut self, later)
        {
            footprint.peak_bytes = footprint.peak_bytes.max(later.peak_bytes);
        }
        self
    }

    /// The figures, if there are any.
    pub(crate) fn footprint(&self) -> Option<&Footprint> {
        match self {
            Self::Taken { footprint, .. } => Some(footprint),
            Self::Unavailable { .. } => None,
        }
    }

    /// The sum of its processes' PSS, in bytes.
    pub(crate) fn pss_bytes(&self) -> Option<u64> {
        match self {
            Self::Taken { pss_bytes, .. } => *pss_bytes,
            Self::Unavailable { .. } => None,
        }
    }

    /// What its guest's kernel said of its memory.
    pub(crate) fn guest_memory(&self) -> Option<&GuestMemory> {
        match self {
            Self::Taken { guest_memory, .. } => guest_memory.as_ref(),
            Self::Unavailable { .. } => None,
        }
    }

    /// The figures of an instance that was there: after the end, only the peak says something.
    pub(crate) fn settled(&self) -> Option<&Footprint> {
        match self {
            Self::Taken {
                moment: FootprintMoment::TwoSecondsAfterMain | FootprintMoment::Ready,
                footprint,
                ..
            } => Some(footprint),
            Self::Taken {
                moment: FootprintMoment::AfterExit,
                ..
            }
            | Self::Unavailable { .. } => None,
        }
    }

    /// What can't be reclaimed of such a one, in bytes.
    pub(crate) fn settled_bytes(&self) -> Option<u64> {
        self.settled().map(Footprint::unreclaimable_bytes)
    }
}
