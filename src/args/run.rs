//! `jaula run`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use vmm::StartMode;

use super::WorkloadArgs;
use crate::notation::{Label, SignalNumber, StopTimeout};

pub(super) const USAGE: &str = "jaula run [OPTIONS] IMAGE [COMMAND]...
       jaula run [OPTIONS] --rootfs DIR [COMMAND]...";

pub(super) const EXAMPLES: &str = "\
Examples:
  jaula run busybox echo hello
  jaula run --as vm -m 256m busybox free -m
  jaula run --as vm --start cold busybox uname -r
  echo hello | jaula run -i busybox tr a-z A-Z
  jaula run -u nobody -w /tmp -e WHO=me --read-only busybox sh -c 'id; pwd; echo $WHO'
  jaula run --rootfs ./debian bash -c 'cat /etc/os-release'";

#[derive(Debug, Args)]
pub struct RunArgs {
    /// Which way to run it
    #[arg(long = "as", value_name = "SIDE", value_enum, default_value_t = As::Container)]
    side: As,
    /// How the VM starts [default: auto]
    #[arg(long, value_name = "HOW", value_enum)]
    start: Option<Start>,

    /// Give the command a terminal
    #[arg(short, long)]
    pub tty: bool,

    /// Print the instance's ID and leave it running
    #[arg(short, long)]
    pub detach: bool,

    /// Keep nothing of a detached instance when the command ends; of another nothing is ever kept
    #[arg(long)]
    pub rm: bool,

    /// What to remember of the instance
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub label: Vec<Label>,

    /// Signal that asks the command to end [default: the image's, or TERM]
    #[arg(long, value_name = "SIGNAL")]
    pub stop_signal: Option<SignalNumber>,

    /// Seconds that the command has to end before it is killed, -1 for ever [default: 10]
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    pub stop_timeout: Option<StopTimeout>,

    /// Write to this file, when the command starts, how long each step of the start took: JSON
    ///
    /// Steps as `jaula compare` shows them, in nanoseconds.
    #[arg(long, value_name = "FILE", conflicts_with = "detach")]
    pub timeline: Option<PathBuf>,

    #[command(flatten)]
    pub workload: WorkloadArgs,
}

/// Which way a workload is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Container,
    Vm(StartMode),
}

/// A container was asked for something of a VM's: a flag.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is for VMs: a container has nothing to boot")]
pub struct OfVms(&'static str);

impl RunArgs {
    /// Which way to run it.
    pub fn way(&self) -> Result<Way, OfVms> {
        match (self.side, self.start) {
            (As::Container, Some(_)) => Err(OfVms("--start")),
            (As::Container, None) => match self.workload.boot.given() {
                Some(flag) => Err(OfVms(flag)),
                None => Ok(Way::Container),
            },
            (As::Vm, start) => Ok(Way::Vm(start.unwrap_or(Start::Auto).into())),
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum As {
    /// Processes on this kernel, in namespaces and a cgroup
    Container,
    /// A kernel of its own, on KVM
    Vm,
}

/// How a VM starts.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Start {
    /// Boots its kernel
    Cold,
    /// Goes on from a template, in which a kernel has booted; the template is built if need be
    Warm,
    /// Goes on from a template if there is a good one, and boots otherwise
    Auto,
}

impl From<Start> for StartMode {
    fn from(start: Start) -> Self {
        match start {
            Start::Cold => Self::Cold,
            Start::Warm => Self::Warm,
            Start::Auto => Self::Auto,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Action, Cli};

    fn way(flags: &[&str]) -> Result<Way, OfVms> {
        let line = [&["jaula", "run"], flags, &["busybox"]].concat();
        match Cli::try_parse_from(line).unwrap().action {
            Action::Run(run) => run.way(),
            _ => panic!("not a run"),
        }
    }

    #[test]
    fn only_a_vm_is_told_how_to_start() {
        for (flags, expected) in [
            (&[][..], Ok(Way::Container)),
            (&["--as", "vm"], Ok(Way::Vm(StartMode::Auto))),
            (
                &["--as", "vm", "--start", "warm"],
                Ok(Way::Vm(StartMode::Warm)),
            ),
            (
                &["--start", "cold", "--as", "vm"],
                Ok(Way::Vm(StartMode::Cold)),
            ),
            (&["--start", "auto"], Err(OfVms("--start"))),
            (
                &["--as", "container", "--start", "warm"],
                Err(OfVms("--start")),
            ),
            (&["--kernel", "vmlinux"], Err(OfVms("--kernel"))),
            (&["--initrd", "i"], Err(OfVms("--initrd"))),
            (&["--append", "quiet"], Err(OfVms("--append"))),
        ] {
            assert_eq!(way(flags), expected, "{flags:?}");
        }
    }
}
