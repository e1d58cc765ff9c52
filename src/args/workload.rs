//! What `jaula run` and `jaula compare` have in common.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use guest_images::store::Store;
use guest_images::{Cache, ImageRef, Sources};
use launch::InstanceId;

use super::boot::BootArgs;
use super::files::FileArgs;
use super::image::UnpackLimitArgs;
use super::limits::LimitArgs;
use super::network::NetworkArgs;
use super::process::ProcessArgs;
use super::security::SecurityArgs;

/// What runs, in docker's words.
#[derive(Debug, Args)]
pub struct WorkloadArgs {
    /// Name to find the instance by
    #[arg(long, value_name = "NAME")]
    pub name: Option<InstanceId>,

    /// Use this directory as the root file system, instead of an image; it is never written to
    #[arg(long, value_name = "DIR")]
    pub rootfs: Option<PathBuf>,

    /// Whether to fetch the image from its registry
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub pull: Pull,

    #[command(flatten)]
    pub unpack: UnpackLimitArgs,

    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,

    #[command(flatten)]
    pub process: ProcessArgs,

    #[command(flatten)]
    pub files: FileArgs,

    #[command(flatten)]
    pub limits: LimitArgs,

    #[command(flatten)]
    pub network: NetworkArgs,

    #[command(flatten)]
    pub security: SecurityArgs,

    #[command(flatten)]
    pub boot: BootArgs,

    /// The image, unless --rootfs is given, and then the command with its arguments.
    // A single list that swallows all after its first word: flags and `--` in it are the
    // command's.
    #[arg(value_name = "IMAGE [COMMAND]", trailing_var_arg = true, hide = true)]
    words: Vec<OsString>,
}

/// Whether an image is fetched from its registry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Pull {
    /// When it is not here
    #[default]
    Missing,
    /// Each time
    Always,
    /// Never: it is an error when it is not here
    Never,
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
    /// The words behind the flags.
    pub fn words(&self) -> &[OsString] {
        &self.words
    }

    /// Where the image comes from.
    pub fn sources<'a>(&self, cache: &'a Cache, store: &'a Store) -> Sources<'a> {
        Sources {
            limits: self.unpack.limits(),
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

    /// Whether what runs was made from what is on this machine anyway.
    pub fn is_image_of_this_machine(&self) -> bool {
        match self.source_and_command() {
            Ok((Source::Image(name), _)) => {
                ImageRef::try_from(name.as_os_str()).is_ok_and(|image| image.is_of_this_machine())
            }
            Ok((Source::Directory(_), _)) | Err(_) => false,
        }
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
