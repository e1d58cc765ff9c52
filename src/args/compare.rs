//! `jaula compare`.

use std::path::PathBuf;
use std::time::Duration;

use bench::{Metric, Opponent, UnknownMetric, UnknownOpponent};
use clap::{Args, Command, FromArgMatches};

use super::WorkloadArgs;

pub(super) const USAGE: &str = "jaula compare [OPTIONS] IMAGE [COMMAND]...
       jaula compare [OPTIONS] --rootfs DIR [COMMAND]...";

pub(super) const EXAMPLES: &str = "\
Examples:
  jaula compare busybox true
  jaula compare --runs 30 --budget-time 5m --metrics main busybox true
  jaula compare --runs 0 busybox -- sh -c 'uname -r; nproc; free -m'
  jaula compare --html report.html busybox true
  jaula compare --json busybox sleep 3 > figures.json";

#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Print everything that was found as JSON: times in nanoseconds, sizes in bytes
    #[arg(long)]
    pub json: bool,
    /// Also write a report with charts to this file: one HTML page that needs nothing else
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Who else runs the same, with commas: host, runc, crun, youki, bwrap
    ///
    /// `host` is a plain process with the image as its root. Nothing else holds it, as root not even
    /// from doing to this machine what it likes: name it only for images that you trust. Of other
    /// runners those that are installed take part, beside `jaula run` as a whole process.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = opponent)]
    pub against: Vec<Opponent>,
    #[command(flatten)]
    pub measuring: MeasuringArgs,
    #[command(flatten)]
    pub workload: WorkloadArgs,
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
        let matches = Self::augment_args(command).try_get_matches_from(words)?;
        Self::from_arg_matches(&matches)
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
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    pub budget_time: Duration,
    /// What to time: main, exit, gone, with commas; runs are followed no further than that needs
    #[arg(long, value_name = "LIST", default_value = "main,exit", value_delimiter = ',', value_parser = metric)]
    pub metrics: Vec<Metric>,
    /// What decides the order of the runs, to have the same one again
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
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

fn opponent(word: &str) -> Result<Opponent, UnknownOpponent> {
    word.trim().parse()
}

fn metric(word: &str) -> Result<Metric, UnknownMetric> {
    word.trim().parse()
}
