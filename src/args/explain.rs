//! `jaula explain`.

use clap::Args;

use super::WorkloadArgs;
use super::run::Start;
use crate::explain::Language;

pub(super) const USAGE: &str = "jaula explain [OPTIONS] IMAGE [COMMAND]...
       jaula explain [OPTIONS] --rootfs DIR [COMMAND]...";

pub(super) const EXAMPLES: &str = "\
Examples:
  jaula explain busybox true
  jaula explain -m 64m --pids-limit 10 busybox true
  jaula explain --start warm --lang es busybox uname -r | less";

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// How the VM starts
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Start::Cold)]
    pub start: Start,

    /// In which language
    #[arg(long, value_name = "LANG", value_enum, default_value_t)]
    pub lang: Language,

    #[command(flatten)]
    pub workload: WorkloadArgs,
}
