//! What can be typed.

mod compare;
mod kernel;
mod run;
mod snapshot;
mod workload;

use clap::{Parser, Subcommand};

pub use compare::CompareArgs;
pub use kernel::KernelAction;
pub use run::RunArgs;
pub use snapshot::SnapshotAction;
pub use workload::{NoImage, Source, WorkloadArgs};

/// Runs one workload as a Linux container or as a KVM microVM, and compares the two.
#[derive(Debug, Parser)]
#[command(name = "jaula", version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    pub action: Action,
}

const EXAMPLES: &str = "\
Examples:
  jaula doctor                             see what this machine can do
  jaula run busybox uname -r               the host's kernel answers
  jaula run --as vm busybox uname -r       the guest's kernel answers
  jaula compare busybox sh -c 'free -m'    both, and what differs

Exit codes of run are docker's: the command's own; 125 when jaula itself failed, 126 when the \
command can't be executed, 127 when there is no such command, 128+n when signal n killed it.";

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Run a command in an image, as a container or as a VM
    ///
    /// Everything after IMAGE is the command and its arguments. One `--` directly after IMAGE is
    /// left out, so both `jaula run busybox ls -l` and `jaula run busybox -- ls -l` work; any
    /// later one belongs to the command.
    #[command(disable_help_flag = true, override_usage = run::USAGE, after_help = run::EXAMPLES)]
    Run(RunArgs),
    /// Run a command both ways and show what each took and what differs
    ///
    /// The command runs once as a container, then once as a VM, from the same image and with the
    /// same limits. Its output is captured, not shown: what differs in it is. Ends with 0 when
    /// both sides could run the command, whatever it exited with, and with 125 otherwise.
    #[command(disable_help_flag = true, override_usage = compare::USAGE, after_help = compare::EXAMPLES)]
    Compare(CompareArgs),
    /// Say what this machine can do, and what to do about the rest
    ///
    /// Ends with 0 when both sides can launch, and with 1 otherwise.
    Doctor,
    /// Work with the guest kernel that VMs boot
    #[command(subcommand)]
    Kernel(KernelAction),
    /// Work with saved VMs
    #[command(subcommand, after_help = snapshot::EXAMPLES)]
    Snapshot(SnapshotAction),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
