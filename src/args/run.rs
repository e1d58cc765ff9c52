//! `jaula run`.

use clap::{Args, ValueEnum};
use launch::Side;

use super::WorkloadArgs;

pub(super) const USAGE: &str = "jaula run [OPTIONS] IMAGE [COMMAND]...
       jaula run [OPTIONS] --rootfs DIR [COMMAND]...";

pub(super) const EXAMPLES: &str = "\
Examples:
  jaula run busybox echo hello
  jaula run --as vm -m 256m busybox free -m
  echo hello | jaula run -i busybox tr a-z A-Z
  jaula run -u nobody -w /tmp -e WHO=me --read-only busybox sh -c 'id; pwd; echo $WHO'
  jaula run --rootfs ./debian bash -c 'cat /etc/os-release'";

#[derive(Debug, Args)]
pub struct RunArgs {
    /// Which way to run it
    #[arg(long = "as", value_name = "SIDE", value_enum, default_value_t = As::Container)]
    pub side: As,
    #[command(flatten)]
    pub workload: WorkloadArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum As {
    /// Processes on this kernel, in namespaces and a cgroup
    Container,
    /// A kernel of its own, on KVM
    Vm,
}

impl From<As> for Side {
    fn from(side: As) -> Self {
        match side {
            As::Container => Self::Container,
            As::Vm => Self::Vm,
        }
    }
}
