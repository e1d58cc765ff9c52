//! `jaula inspect`.

use clap::Args;

use super::NamesArgs;

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Print only this, as in .State.Pid or {{.State.Pid}}
    #[arg(short, long, value_name = "FIELD")]
    pub format: Option<String>,

    #[command(flatten)]
    pub which: NamesArgs,
}
