//! `jaula template`.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use launch::{CpuLimit, MemoryLimit};
use vmm::{GuestBoot, GuestKernel, KernelParameters};

pub(super) const EXAMPLES: &str = "\
Examples:
  jaula template build -m 256m     for VMs of 256 MiB
  jaula template ls
  jaula template rm 3f9c           any beginning of a name that no other has
  jaula template rm --all";

#[derive(Debug, Subcommand)]
pub enum TemplateAction {
    /// Build the template for VMs of one size, unless there is a good one
    ///
    /// Boots a VM until its init waits for a workload, and saves it there. Prints the template's
    /// name.
    Build(BuildArgs),
    /// List all templates
    ///
    /// One is `current` when VMs start from it; `stale` when something that it depends on has
    /// changed, and it will be built anew; `damaged` when it can't be read.
    Ls,
    /// Remove templates; VMs that were started from them go on
    Rm(RmArgs),
}

#[derive(Debug, Args)]
pub struct BuildArgs {
    /// Memory of the VMs that start from it, as in 512m or 2g [default: 128m]
    #[arg(short, long, value_name = "SIZE")]
    pub memory: Option<MemoryLimit>,

    /// CPUs of the VMs, as with jaula run [default: 1]
    #[arg(long, value_name = "NUMBER")]
    pub cpus: Option<CpuLimit>,

    /// Kernel of the VMs, an ELF vmlinux or a bzImage, instead of jaula's own
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<PathBuf>,

    /// Parameters that are added to the kernel's command line
    #[arg(long, value_name = "PARAMETERS", allow_hyphen_values = true)]
    pub append: Option<KernelParameters>,
}

impl BuildArgs {
    /// What they boot.
    pub fn guest(&self) -> GuestBoot {
        GuestBoot {
            kernel: match &self.kernel {
                Some(path) => GuestKernel::File(path.clone()),
                None => GuestKernel::BuiltIn,
            },
            initrd: None,
            parameters: self.append.clone(),
        }
    }
}

#[derive(Debug, Args)]
pub struct RmArgs {
    /// Which ones, as `jaula template ls` names them
    #[arg(
        value_name = "NAME",
        value_parser = NonEmptyStringValueParser::new(),
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    pub names: Vec<String>,

    /// All that there are
    #[arg(long)]
    pub all: bool,
}
