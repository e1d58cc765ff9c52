//! `jaula snapshot`.

use clap::{Args, Subcommand};
use launch::InstanceId;
use vmm::snapshot::SnapshotName;

pub(super) const EXAMPLES: &str = "\
Examples:
  jaula run --as vm --name job busybox sh -c 'sleep 60; echo done' &
  jaula snapshot create job halfway          the job goes on
  jaula snapshot restore halfway             and so does a copy of it
  jaula snapshot ls
  jaula snapshot inspect --json shell
  jaula snapshot rm shell other";

#[derive(Debug, Subcommand)]
pub enum SnapshotAction {
    /// Save a running VM, which goes on
    ///
    /// The VM is one that `jaula run --as vm --name INSTANCE` or `jaula snapshot restore --name
    /// INSTANCE` started. It stands still while it is saved. Prints the snapshot's name.
    #[command(after_help = CREATE_EXAMPLES)]
    Create {
        /// The running VM
        #[arg(value_name = "INSTANCE")]
        instance: InstanceId,

        /// Name for the snapshot
        #[arg(value_name = "NAME")]
        name: SnapshotName,
    },
    /// Go on with a saved VM, as `jaula run` would with a new one
    ///
    /// The command goes on where it was saved, with your streams and signals, and its exit code is
    /// yours. What it had read and written before stays with the VM that was saved. Exit codes
    /// are those of `jaula run`.
    #[command(after_help = RESTORE_EXAMPLES)]
    Restore(RestoreArgs),
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

const CREATE_EXAMPLES: &str = "\
Examples:
  jaula run -i --as vm --name job busybox sh
  jaula snapshot create job shell            in another terminal";

const RESTORE_EXAMPLES: &str = "\
Examples:
  jaula snapshot restore halfway
  echo 'uptime; exit' | jaula snapshot restore -i shell
  jaula snapshot restore --name copy halfway";

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Let the command read your standard input; otherwise it finds nothing more to read
    #[arg(short, long)]
    pub interactive: bool,

    /// Name to find the instance by, in the names of its cgroup and directory
    #[arg(long, value_name = "ID")]
    pub name: Option<InstanceId>,

    /// Which one
    #[arg(value_name = "NAME")]
    pub snapshot: SnapshotName,
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
