//! `jaula kill`.

use clap::Args;

use super::NamesArgs;
use crate::notation::SignalNumber;

#[derive(Debug, Args)]
pub struct KillArgs {
    /// Signal to send
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL")]
    pub signal: SignalNumber,

    #[command(flatten)]
    pub which: NamesArgs,
}
