//! `jaula compare`.

use clap::Args;

use super::WorkloadArgs;

pub(super) const USAGE: &str = "jaula compare [OPTIONS] IMAGE [COMMAND]...
       jaula compare [OPTIONS] --rootfs DIR [COMMAND]...";

pub(super) const EXAMPLES: &str = "\
Examples:
  jaula compare busybox true
  jaula compare busybox -- sh -c 'uname -r; nproc; free -m'
  jaula compare --json busybox sleep 3 > figures.json";

#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Print everything that was found as JSON: times in nanoseconds, sizes in bytes
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub workload: WorkloadArgs,
}
