//! What can be typed.

mod bench;
mod boot;
mod compare;
mod explain;
mod files;
mod image;
mod instances;
mod kernel;
mod limits;
mod network;
mod process;
mod run;
mod security;
mod snapshot;
mod template;
mod volume;
mod workload;

use std::ffi::OsString;

use clap::{Args, FromArgMatches, Parser, Subcommand};

pub use self::bench::{BenchAction, BenchArgs, DiffArgs, LimitArgs};
pub use self::boot::OfOurInit;
pub use compare::{CompareArgs, MeasuringArgs};
pub use explain::ExplainArgs;
pub use image::{ImagesArgs, LoadArgs, PullArgs, RmiArgs};
pub use instances::{
    ExecArgs, Filter, Format, InspectArgs, KillArgs, LogsArgs, NamesArgs, PortArgs, PsArgs, RmArgs,
    StateName, StatsArgs, StopArgs, Tail,
};
pub use kernel::KernelAction;
pub use network::NeedsBridge;
pub use run::{RunArgs, Way};
pub use security::SecurityArgs;
pub use snapshot::{RestoreArgs, SnapshotAction};
pub use template::{BuildArgs as TemplateBuildArgs, RmArgs as TemplateRmArgs, TemplateAction};
pub use volume::VolumeAction;
pub use workload::{NoImage, Pull, Source, WorkloadArgs};

/// Runs one workload as a Linux container or as a KVM microVM, and compares the two.
#[derive(Debug, Parser)]
#[command(name = "jaula", version, max_term_width = 80, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    pub action: Action,
}

impl Cli {
    /// What was typed, `line` with the program's name first.
    ///
    /// # Errors
    ///
    /// What the parser refuses, or was asked to print.
    pub fn of(line: &[OsString]) -> Result<Self, clap::Error> {
        match run_alone(line) {
            Some(run) => Ok(Self {
                action: Action::Run(run),
            }),
            None => Self::try_parse_from(line),
        }
    }
}

/// What was typed after `jaula run`, without all that is known of the other subcommands: to lay
/// that out takes longer than a system call or two hundred. `None` if it is anything else, or
/// something is to be said of it.
fn run_alone(line: &[OsString]) -> Option<RunArgs> {
    let words = line.get(1..)?;
    if words.first()? != "run" {
        return None;
    }
    let command = clap::Command::new("run").disable_help_flag(true);
    let matches = RunArgs::augment_args(command).try_get_matches_from(words);
    RunArgs::from_arg_matches(&matches.ok()?).ok()
}

const EXAMPLES: &str = "\
Examples:
  jaula doctor                             see what this machine can do
  jaula run busybox uname -r               the host's kernel answers
  jaula run --as vm busybox uname -r       the guest's kernel answers
  jaula compare busybox sh -c 'free -m'    every way, and what differs

Exit codes of run and exec are docker's: the command's own; 125 when jaula itself failed, 126 when the \
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
    /// Run a command every way and show what each took and what differs
    ///
    /// The command runs once as a container, once as a VM that goes on from a template (warm), and
    /// once as a VM that boots (cold), from the same image and with the same limits. Its output is
    /// captured, not shown: what differs in it is. Then the three take turns and are timed, and
    /// each VM is held against the container, with a verdict in words. Ends with 0 when all three
    /// could run the command and it ended alike, whatever its exit code, and with 125 otherwise.
    /// Ctrl-C ends timed runs early, with a report of those that there were.
    #[command(disable_help_flag = true, override_usage = compare::USAGE, after_help = compare::EXAMPLES)]
    Compare(Box<CompareArgs>),
    /// Measure a suite of workloads both ways, and write a report
    ///
    /// Each workload is compared as by `jaula compare`. The directory then has a report as an HTML
    /// page, every single run, summaries and tables. What was measured when it is interrupted is kept.
    #[command(after_help = bench::EXAMPLES)]
    Bench(BenchArgs),
    /// Run a command both ways and tell what each does for it, call by call, and what for
    ///
    /// The command runs once as a container and once as a VM, watched: each system call of theirs
    /// is shown with its arguments, what it is for, and the file of jaula's source that says more.
    /// What the command does itself is not watched.
    #[command(disable_help_flag = true, override_usage = explain::USAGE, after_help = explain::EXAMPLES)]
    Explain(ExplainArgs),
    /// List the images that were loaded or pulled
    #[command(after_help = image::IMAGES_EXAMPLES)]
    Images(ImagesArgs),
    /// Load images from a file: from `docker save`, or an OCI image layout
    ///
    /// The file may be compressed with gzip or zstd. The image gets the names that it has in it.
    #[command(after_help = image::LOAD_EXAMPLES)]
    Load(LoadArgs),
    /// Fetch an image from a registry
    ///
    /// The registry is docker.io unless the name begins with another. One on this machine may be
    /// without TLS. Certificates of authorities of your own are looked for in
    /// /etc/docker/certs.d/HOST:PORT, credentials where `docker login` and `podman login` keep
    /// them.
    #[command(after_help = image::PULL_EXAMPLES)]
    Pull(PullArgs),
    /// Remove images
    ///
    /// By a name, an image loses that name; with its last one it goes, and with it the layers that
    /// no other image has. One that something runs from stays.
    #[command(after_help = image::RMI_EXAMPLES)]
    Rmi(RmiArgs),
    /// Run a further command in an instance that runs
    ///
    /// It has the root, the limits and the rights of the instance's own command, and its
    /// environment, to which more can be added. It is killed when jaula is.
    #[command(override_usage = instances::exec::USAGE, after_help = instances::exec::EXAMPLES)]
    Exec(ExecArgs),
    /// List instances, of both sides
    ///
    /// Those that run, whether detached or not; with -a also detached ones that have ended and were
    /// not removed.
    Ps(PsArgs),
    /// Print what a detached instance said
    ///
    /// Standard output and error go to where they came from. What is kept are the last 10 to 20 MiB.
    Logs(LogsArgs),
    /// Ask instances to end, kill those that don't, and wait for that
    Stop(StopArgs),
    /// Send a signal to the commands of instances
    Kill(KillArgs),
    /// Wait for the end of instances, and print their exit codes
    Wait(NamesArgs),
    /// Remove what is kept of instances that have ended
    Rm(RmArgs),
    /// Print all that is known of instances, as JSON
    Inspect(InspectArgs),
    /// List where the host forwards to ports of an instance
    Port(PortArgs),
    /// Show what instances use
    Stats(StatsArgs),
    /// Let everything in instances stand still
    Pause(NamesArgs),
    /// Let what stands still go on
    Unpause(NamesArgs),
    /// Say what this machine can do, and what to do about the rest
    ///
    /// Ends with 0 when both sides can launch, and with 1 otherwise.
    Doctor,
    /// Work with the guest kernel that VMs boot
    #[command(subcommand)]
    Kernel(KernelAction),
    /// Work with saved VMs
    ///
    /// A snapshot is a VM that was saved while its command ran. The command can go on from there
    /// any number of times, each time in a VM of its own. It fits one kind of host processor and
    /// one version of jaula.
    #[command(subcommand, after_help = snapshot::EXAMPLES)]
    Snapshot(SnapshotAction),
    /// Work with the templates that VMs start from
    ///
    /// A template is a VM that was saved when its init waited for a workload. A VM that goes on
    /// from it needs no boot. It fits one kernel, one size of memory and one kind of host
    /// processor; a run that needs another builds that when asked to start warm.
    #[command(subcommand, after_help = template::EXAMPLES)]
    Template(TemplateAction),
    /// Work with named volumes, which `jaula run -v NAME:DST` makes and mounts
    #[command(subcommand, after_help = volume::EXAMPLES)]
    Volume(VolumeAction),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_alone_is_read_as_among_all_subcommands() {
        for (words, is_run) in [
            (&["run", "busybox", "true"][..], true),
            (
                &["run", "-m", "1g", "-e", "A=b", "--rootfs", "/", "ls", "-l"],
                true,
            ),
            (
                &["run", "-d", "--name", "x", "busybox", "--", "sh", "--help"],
                true,
            ),
            (&["run", "--frobnicate", "busybox"], false),
            (&["run", "--help"], false),
            (&["run", "-V"], false),
            (&["run", "--as", "fish", "busybox"], false),
            (&["--help"], false),
            (&["ps"], false),
            (&[], false),
        ] {
            let line: Vec<OsString> = std::iter::once(&"jaula")
                .chain(words)
                .map(OsString::from)
                .collect();
            let alone = run_alone(&line).map(|run| format!("{:?}", Action::Run(run)));
            let among_all = Cli::try_parse_from(&line).map(|cli| format!("{:?}", cli.action));
            assert_eq!(alone.is_some(), is_run, "{words:?}");
            if let Some(alone) = alone {
                assert_eq!(alone, among_all.unwrap(), "{words:?}");
            }
        }
    }
}
