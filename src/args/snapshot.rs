//! `jaula snapshot`.

use clap::{Args, Subcommand};
use vmm::snapshot::SnapshotName;

pub(super) const EXAMPLES: &str = "\
Examples:
  jaula snapshot ls
  jaula snapshot inspect --json shell
  jaula snapshot rm shell other";

#[derive(Debug, Subcommand)]
pub enum SnapshotAction {
    /// List all snapshots
    ///
    /// One is `usable` when a VM can go on from it here; `foreign` when it was made on a host of
    /// another kind; `unusable` when it can't be read.
    Ls,
    /// Show what a snapshot says of itself
    Inspect(InspectArgs),
    /// Remove snapshots; VMs that go on from them are not disturbed
    Rm {
        /// Which ones
        #[arg(value_name = "NAME", required = true)]
        names: Vec<SnapshotName>,
    },
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Print all of it as JSON
    #[arg(long)]
    pub json: bool,

    /// Which one
    #[arg(value_name = "NAME")]
    pub name: SnapshotName,
}
