//! `jaula kernel`.

use clap::Subcommand;

#[derive(Debug, Clone, Copy, Subcommand)]
pub enum KernelAction {
    /// Build the guest kernel, once: it is kept for all later runs
    ///
    /// Takes some minutes. The kernel is Debian's, with a small configuration and a few patches
    /// of ours.
    Build {
        /// The one for VMs of several CPUs, which --cpus above 1 makes
        #[arg(long)]
        smp: bool,
    },
    /// Show in which functions the guest kernel spends its boot
    ///
    /// For hosts that emulate a guest's kernel mode, where a boot takes seconds. Looks at the
    /// processor at a steady rate until the kernel has started its first program.
    Profile,
}
