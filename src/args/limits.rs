//! What the command may use of the host.

use clap::Args;
use launch::{CpuLimit, CpuSet, MemoryLimit, MemorySwap};

use crate::notation::PidsLimitArg;

/// Limits of the whole instance.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Memory: a container's limit, a VM's size, as in 512m or 2g [default: no limit, and 128m]
    #[arg(short, long, value_name = "SIZE")]
    pub memory: Option<MemoryLimit>,

    /// Memory and swap together, -1 for all swap that there is; needs -m
    #[arg(
        long,
        value_name = "SIZE",
        requires = "memory",
        allow_hyphen_values = true
    )]
    pub memory_swap: Option<MemorySwap>,

    /// Processor time, in CPUs, as in 0.5; a VM has as many processors, rounded up [default: no
    /// limit, and 1]
    #[arg(long, value_name = "NUMBER")]
    pub cpus: Option<CpuLimit>,

    /// CPUs to run on, as in 0-2,4
    #[arg(long, value_name = "CPUS")]
    pub cpuset_cpus: Option<CpuSet>,

    /// Most processes and threads at once, -1 for no limit
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub pids_limit: Option<PidsLimitArg>,
}
