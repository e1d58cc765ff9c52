//! `jaula stop`.

use clap::Args;

use super::NamesArgs;
use crate::notation::{SignalNumber, StopTimeout};

#[derive(Debug, Args)]
pub struct StopArgs {
    /// Signal that asks the command to end [default: that of its run, of its image, or TERM]
    #[arg(short, long, value_name = "SIGNAL")]
    pub signal: Option<SignalNumber>,

    /// Seconds that it has to end before it is killed, -1 for ever [default: that of its run, or 10]
    #[arg(
        short = 't',
        long = "timeout",
        alias = "time",
        value_name = "SECONDS",
        allow_hyphen_values = true
    )]
    pub timeout: Option<StopTimeout>,

    #[command(flatten)]
    pub which: NamesArgs,
}
