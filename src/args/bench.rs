//! `jaula bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

pub(super) const EXAMPLES: &str = "\
Examples:
  jaula bench --quick
  jaula bench --out results
  jaula bench --out results --resume
  jaula bench --suite mine.toml --out mine
  jaula bench --quick --out today --baseline yesterday --budget limits.toml
  jaula bench diff yesterday today";

pub(super) const DIFF_EXAMPLES: &str = "\
Examples:
  jaula bench diff yesterday today
  jaula bench diff --budget limits.toml yesterday today
  jaula bench diff --html changes.html yesterday today";

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchArgs {
    #[command(subcommand)]
    pub action: Option<BenchAction>,

    /// Only the workloads that say most, in some minutes
    #[arg(long)]
    pub quick: bool,

    /// Directory for the results
    #[arg(long, value_name = "DIR", default_value = "jaula-results")]
    pub out: PathBuf,

    /// Measure what is in this file, in TOML, instead of what is built in
    #[arg(long, value_name = "FILE")]
    pub suite: Option<PathBuf>,

    /// Keep what an earlier run has measured in the same directory, and go on behind it
    #[arg(long)]
    pub resume: bool,

    /// Tell what changed since an earlier run, whose results are in this directory
    #[arg(long, value_name = "DIR")]
    pub baseline: Option<PathBuf>,

    #[command(flatten)]
    pub limits: LimitArgs,
}

/// What may not be exceeded.
#[derive(Debug, Args)]
pub struct LimitArgs {
    /// End with 1 when a figure is above a limit of this file, in TOML
    #[arg(long, value_name = "FILE")]
    pub budget: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum BenchAction {
    /// Tell what changed from one result of a suite to another
    ///
    /// Both are directories that `jaula bench --out` wrote. Workloads of the same name are held
    /// against each other if command, image and limits are the same.
    #[command(after_help = DIFF_EXAMPLES)]
    Diff(DiffArgs),
}

#[derive(Debug, Args)]
pub struct DiffArgs {
    /// Results from before
    #[arg(value_name = "BEFORE")]
    pub before: PathBuf,

    /// Results from after
    #[arg(value_name = "AFTER")]
    pub after: PathBuf,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// Also write it to this file: one HTML page that needs nothing else
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,

    #[command(flatten)]
    pub limits: LimitArgs,
}
