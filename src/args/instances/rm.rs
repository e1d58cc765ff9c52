//! `jaula rm`.

use clap::Args;

use super::NamesArgs;

#[derive(Debug, Args)]
pub struct RmArgs {
    /// Kill what still runs
    #[arg(short, long)]
    pub force: bool,

    #[command(flatten)]
    pub which: NamesArgs,
}
