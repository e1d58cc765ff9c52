//! What `jaula run` and `jaula compare` have in common.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use guest_images::store::Store;
use guest_images::{Cache, Sources, UserSpec};
use launch::{CpuLimit, Hostname, InstanceId, MemoryLimit, PidsLimit};

use super::image::LimitArgs;
use crate::environment::Variable;

/// What runs, in docker's words.
#[derive(Debug, Args)]
pub struct WorkloadArgs {
    /// Set an environment variable; without a value it takes yours, if you have one
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<Variable>,

    /// Directory inside the image where the command starts, made if it is missing
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<OsString>,

    /// User, and group, of the command: names are looked up in the image
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<UserSpec>,

    /// Name that the command finds its machine to have [default: jaula]
    #[arg(short = 'h', long, value_name = "NAME")]
    pub hostname: Option<Hostname>,

    /// Memory: a container's limit, a VM's size, as in 512m or 2g [default: no limit, and 128m]
    #[arg(short, long, value_name = "SIZE")]
    pub memory: Option<MemoryLimit>,

    /// Processor time, in CPUs, as in 0.5
    #[arg(long, value_name = "NUMBER")]
    pub cpus: Option<CpuLimit>,

    /// Most processes and threads at once
    #[arg(long, value_name = "NUMBER")]
    pub pids_limit: Option<PidsLimit>,

    /// Let the command write nothing to its root file system; otherwise what it writes is gone
    /// when it ends
    #[arg(long)]
    pub read_only: bool,

    /// Run this program instead of the image's own; COMMAND becomes its arguments
    #[arg(long, value_name = "PROGRAM", value_parser = NonEmptyStringValueParser::new())]
    pub entrypoint: Option<String>,

    /// Let the command read your standard input; otherwise it finds nothing to read
    #[arg(short, long)]
    pub interactive: bool,

    /// Name to find the instance by, in the names of its cgroup and directory
    #[arg(long, value_name = "NAME")]
    pub name: Option<InstanceId>,

    /// Remove everything when the command ends: always so, taken for the sake of habit
    #[arg(long)]
    pub rm: bool,

    /// Use this directory as the root file system, instead of an image; it is never written to
    #[arg(long, value_name = "DIR")]
    pub rootfs: Option<PathBuf>,

    /// Boot this kernel in the VM, an ELF vmlinux or a bzImage, instead of jaula's own
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<PathBuf>,

    #[command(flatten)]
    pub limits: LimitArgs,

    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,

    /// The image, unless --rootfs is given, and then the command with its arguments.
    // A single list that swallows all after its first word: flags and `--` in it are the
    // command's.
    #[arg(value_name = "IMAGE [COMMAND]", trailing_var_arg = true, hide = true)]
    words: Vec<OsString>,
}

/// Where the root file system comes from.
#[derive(Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// An image of this name.
    Image(&'a OsString),
    /// A directory of the user's.
    Directory(&'a PathBuf),
}

/// There is neither an image nor a directory.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no image given")]
pub struct NoImage;

impl WorkloadArgs {
    /// Where the image comes from.
    pub fn sources<'a>(&self, cache: &'a Cache, store: &'a Store) -> Sources<'a> {
        Sources {
            limits: self.limits.limits(),
            ..Sources::new(cache, store)
        }
    }

    /// Where the root file system comes from, and the words of the command.
    pub fn source_and_command(&self) -> Result<(Source<'_>, &[OsString]), NoImage> {
        let (source, command) = match &self.rootfs {
            Some(dir) => (Source::Directory(dir), &self.words[..]),
            None => {
                let (image, command) = self.words.split_first().ok_or(NoImage)?;
                let command = match command.split_first() {
                    Some((first, rest)) if first == "--" => rest,
                    _ => command,
                };
                (Source::Image(image), command)
            }
        };
        Ok((source, command))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::args::{Action, Cli};

    fn words(line: &[&str]) -> Result<(String, Vec<String>), String> {
        let cli = Cli::try_parse_from(["jaula", "run"].iter().chain(line))
            .map_err(|error| error.to_string())?;
        let Action::Run(run) = cli.action else {
            return Err("not a run".into());
        };
        let (source, command) = run
            .workload
            .source_and_command()
            .map_err(|error| error.to_string())?;
        let command = command
            .iter()
            .map(|word| word.to_str().unwrap().to_owned())
            .collect();
        Ok((format!("{source:?}"), command))
    }

    #[test]
    fn everything_after_the_image_is_the_command() {
        for (line, command) in [
            (&["busybox"][..], &[][..]),
            (&["busybox", "ls", "-l"], &["ls", "-l"]),
            (&["busybox", "-e", "A=b"], &["-e", "A=b"]),
            (&["busybox", "--help"], &["--help"]),
            (&["busybox", "--", "sh"], &["sh"]),
            (&["busybox", "--", "--", "sh"], &["--", "sh"]),
            (&["busybox", "sh", "--", "x"], &["sh", "--", "x"]),
            (&["-i", "busybox", "-i"], &["-i"]),
            (&["--", "busybox", "sh"], &["sh"]),
        ] {
            let (image, words) = words(line).unwrap();
            assert_eq!(image, r#"Image("busybox")"#, "{line:?}");
            assert_eq!(words, command, "{line:?}");
        }
    }

    #[test]
    fn with_a_directory_there_is_no_image() {
        for (line, command) in [
            (&["--rootfs", "/r", "ls", "-l"][..], &["ls", "-l"][..]),
            (&["--rootfs=/r", "--", "ls", "--"], &["ls", "--"]),
            (&["--rootfs", "/r"], &[]),
        ] {
            let (source, words) = words(line).unwrap();
            assert_eq!(source, r#"Directory("/r")"#, "{line:?}");
            assert_eq!(words, command, "{line:?}");
        }
    }

    #[test]
    fn an_unknown_flag_before_the_image_is_refused() {
        assert!(words(&["--frobnicate", "busybox"]).is_err());
    }

    #[test]
    fn without_image_and_directory_it_is_said() {
        assert_eq!(words(&[]).unwrap_err(), "no image given");
    }
}
