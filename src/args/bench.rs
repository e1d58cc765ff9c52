//! `jaula bench`.

use std::path::PathBuf;

use clap::Args;

pub(super) const EXAMPLES: &str = "\
Examples:
  jaula bench --quick
  jaula bench --out results
  jaula bench --out results --resume
  jaula bench --suite mine.toml --out mine";

#[derive(Debug, Args)]
pub struct BenchArgs {
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
}
