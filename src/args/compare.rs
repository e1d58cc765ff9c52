//! `jaula compare`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use bench::{
    InvalidDuration, InvalidReadiness, Metric, Opponent, Readiness, TypedDuration, UnknownMetric,
    UnknownOpponent,
};
use clap::{Args, Command, FromArgMatches};

use super::WorkloadArgs;

pub(super) const USAGE: &str = "jaula compare [OPTIONS] IMAGE [COMMAND]...
       jaula compare [OPTIONS] --rootfs DIR [COMMAND]...";

pub(super) const EXAMPLES: &str = "\
Examples:
  jaula compare busybox true
  jaula compare --runs 30 --budget-time 5m --metrics main busybox true
  jaula compare --ready 'log:^up' busybox -- sh -c 'echo up; sleep 1000'
  jaula compare --density 16 --concurrency 8 busybox sleep 1000
  jaula compare --runs 0 busybox -- sh -c 'uname -r; nproc; free -m'
  jaula compare --html report.html busybox true
  jaula compare --metrics figures probe -- syscalls faults
  jaula compare --json busybox sleep 3 > figures.json";

#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Print everything that was found as JSON: times in nanoseconds, sizes in bytes
    #[arg(long)]
    pub json: bool,
    /// Also write a report with charts to this file: one HTML page that needs nothing else
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Who else runs the same, with commas: host, jaula, runc, crun, youki, bwrap, qemu; or none
    ///
    /// As root a plain process of this machine takes part with the image as its root, as a user without
    /// rights, if the image was made from this machine (busybox, probe, program:NAME); `none` leaves it
    /// out. `host` has it take part with any image, and as the user of the workload: as root it can do
    /// to this machine what it likes, so name it only for images that you trust. `jaula` is `jaula run` as a
    /// whole process, from the execution of this program on. Of other runners those
    /// that are installed take part, beside `jaula run` as a whole process. `qemu` is its `microvm` with
    /// KVM, which boots the same kernel, PID 1 and image as a VM here, and is held against that.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = opponent)]
    pub against: Vec<Opponent>,
    #[command(flatten)]
    pub measuring: MeasuringArgs,
    #[command(flatten)]
    pub workload: WorkloadArgs,
    /// The words that all this was read from, unless they were typed.
    #[arg(skip)]
    words: Option<Vec<String>>,
}

impl CompareArgs {
    /// What was written down to be typed after `jaula compare`.
    ///
    /// # Errors
    ///
    /// What the parser refuses.
    pub fn of_words(words: Vec<String>) -> Result<Self, clap::Error> {
        let command = Command::new("compare")
            .no_binary_name(true)
            .disable_help_flag(true);
        let matches = Self::augment_args(command).try_get_matches_from(&words)?;
        Ok(Self {
            words: Some(words),
            ..Self::from_arg_matches(&matches)?
        })
    }

    /// The words after `jaula compare`.
    pub fn words(&self) -> Vec<OsString> {
        match &self.words {
            Some(words) => words.iter().map(OsString::from).collect(),
            None => std::env::args_os().skip(2).collect(),
        }
    }
}

/// How often, for how long, and what.
#[derive(Debug, Args)]
#[command(next_help_heading = "Measuring")]
pub struct MeasuringArgs {
    /// Timed runs of each way; 0 for none, only the one that is checked
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = count)]
    pub runs: usize,
    /// Runs of each way before those, in no figure; the one that is checked comes before them
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = count)]
    pub warmup: usize,
    /// Begin no round of runs that would not be over by then ("90s", "5m")
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub budget_time: Duration,
    /// What to measure: main, ready, memory, idle, cpu, exit, stop, gone, with commas [default: main,exit; with --ready main,ready]
    ///
    /// Runs are followed no further than that needs, and killed then. With figures, they are followed to
    /// their end for what the command reports of itself. memory is what can't be reclaimed 2 s after main, or
    /// when it is ready; cpu is the processor time. Both are of all that the instance needs. For idle and
    /// stop the command must go on: idle is the processor time a minute, of 5 s, as it waits; stop is the time
    /// from SIGKILL to its exit status.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = wanted)]
    metrics: Vec<Wanted>,
    /// What shows that the command is ready: tcp:PORT, http:PORT/PATH or log:PATTERN
    ///
    /// A connection that is taken, a GET that is answered with 200 (both with --network bridge), or a
    /// line of output that matches a regular expression. The command is ended then.
    #[arg(long, value_name = "SIGN", value_parser = readiness)]
    pub ready: Option<Readiness>,
    /// Keep 1, 2, 4, ... and at last N instances of each way running, and tell what one more costs
    ///
    /// In memory of the host, and in time to launch. The command must go on until it is ended.
    /// --budget-time holds for this as well, apart from the timed runs.
    #[arg(long, value_name = "N", value_parser = instances)]
    pub density: Option<usize>,
    /// Launch K instances of each way at once, and time each of them and all together
    ///
    /// To main or, with --ready, until it is ready. The command must go on until it is ended.
    #[arg(long, value_name = "K", value_parser = instances)]
    pub concurrency: Option<usize>,
    /// A line of output that says that the command has freed memory that it had taken
    ///
    /// A regular expression. What the host is charged is followed for 30 s from there on; the command
    /// must go on for so long.
    #[arg(long, value_name = "PATTERN", value_parser = line)]
    pub freed: Option<Readiness>,
    /// What decides the order of the runs, to have the same one again
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
}

/// What is asked for with `--metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Metric(Metric),
    /// What the command reports of itself.
    Figures,
}

/// What can't be timed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetricsError {
    #[error("nothing says when the command is ready")]
    NoSign,
    #[error("what is ended as soon as it is ready can't be timed to its {0}")]
    EndedBefore(&'static str),
    #[error(
        "what goes on for --density, --concurrency, --freed, idle or stop can't be timed to its {0}"
    )]
    GoesOn(&'static str),
}

impl MeasuringArgs {
    /// What to time, in order, without repetition.
    pub fn metrics(&self) -> Result<Vec<Metric>, MetricsError> {
        let mut metrics = match (&self.metrics[..], &self.ready) {
            ([], None) if self.goes_on() => vec![Metric::Main],
            ([], None) => vec![Metric::Main, Metric::Exit],
            ([], Some(_)) => vec![Metric::Main, Metric::Ready],
            (asked, _) => asked
                .iter()
                .filter_map(|wanted| match wanted {
                    Wanted::Metric(metric) => Some(*metric),
                    Wanted::Figures => None,
                })
                .collect(),
        };
        metrics.sort_unstable();
        metrics.dedup();
        let wants = |metric| metrics.contains(&metric);
        // One that is killed comes to its end, too.
        let ends = self.figures() || wants(Metric::Gone) && !wants(Metric::Stop);
        match &self.ready {
            None if wants(Metric::Ready) => Err(MetricsError::NoSign),
            Some(_) if wants(Metric::Exit) => Err(MetricsError::EndedBefore("exit")),
            Some(_) if ends => Err(MetricsError::EndedBefore("end")),
            None if self.goes_on() && wants(Metric::Exit) => Err(MetricsError::GoesOn("exit")),
            None if self.goes_on() && ends => Err(MetricsError::GoesOn("end")),
            _ => Ok(metrics),
        }
    }

    /// Whether there are many instances at once.
    pub fn launches_many(&self) -> bool {
        self.density.is_some() || self.concurrency.is_some() || self.freed.is_some()
    }

    /// Whether the command is one that goes on until it is ended.
    pub fn goes_on(&self) -> bool {
        let wants = |metric| self.metrics.contains(&Wanted::Metric(metric));
        self.launches_many() || wants(Metric::Idle) || wants(Metric::Stop)
    }

    /// Whether what the command reports of itself was asked for by name.
    pub fn figures(&self) -> bool {
        self.metrics.contains(&Wanted::Figures)
    }
}

/// There is no metric of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}, figures")]
struct UnknownWanted(UnknownMetric);

impl From<MetricsError> for launch::Error {
    fn from(error: MetricsError) -> Self {
        Self::new(error).with_remedy(match error {
            MetricsError::NoSign => "say so with --ready",
            MetricsError::EndedBefore(_) => "leave out --ready or that metric",
            MetricsError::GoesOn(_) => "leave out that metric",
        })
    }
}

/// More runs than anybody waits for; their samples are kept in memory.
const MOST_RUNS: usize = 100_000;

fn count(text: &str) -> Result<usize, String> {
    let count = text.parse().map_err(|_| "not a whole number".to_owned())?;
    match count {
        0..=MOST_RUNS => Ok(count),
        _ => Err(format!("at most {MOST_RUNS}")),
    }
}

/// More than any host has room for.
const MOST_INSTANCES: usize = 10_000;

fn instances(text: &str) -> Result<usize, String> {
    let count = text.parse().map_err(|_| "not a whole number".to_owned())?;
    match count {
        1..=MOST_INSTANCES => Ok(count),
        _ => Err(format!("it takes a number from 1 to {MOST_INSTANCES}")),
    }
}

fn duration(text: &str) -> Result<Duration, InvalidDuration> {
    TypedDuration::try_from(text.to_owned()).map(|it| it.0)
}

fn opponent(word: &str) -> Result<Opponent, UnknownOpponent> {
    word.trim().parse()
}

fn line(pattern: &str) -> Result<Readiness, InvalidReadiness> {
    format!("log:{pattern}").parse()
}

fn readiness(text: &str) -> Result<Readiness, InvalidReadiness> {
    text.parse()
}

fn wanted(word: &str) -> Result<Wanted, UnknownWanted> {
    match word.trim() {
        "figures" => Ok(Wanted::Figures),
        word => word.parse().map(Wanted::Metric).map_err(UnknownWanted),
    }
}
