//! What a VM boots.

use std::path::PathBuf;

use clap::Args;
use vmm::{GuestBoot, GuestKernel, KernelParameters};

use super::WorkloadArgs;

/// Kernel, initial RAM file system and command line.
#[derive(Debug, Args)]
#[command(next_help_heading = "What a VM boots")]
pub struct BootArgs {
    /// Boot this kernel in the VM, an ELF vmlinux or a bzImage, instead of jaula's own
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<PathBuf>,

    /// Boot the system in this initial RAM file system, instead of a command in IMAGE, which it has
    /// as its first disk, read-only
    #[arg(long, value_name = "FILE")]
    pub initrd: Option<PathBuf>,

    /// Add parameters to the kernel's command line
    #[arg(long, value_name = "PARAMETERS", allow_hyphen_values = true)]
    pub append: Option<KernelParameters>,
}

impl BootArgs {
    /// The flag that was given, if one was.
    pub fn given(&self) -> Option<&'static str> {
        let flags = [
            (self.kernel.is_some(), "--kernel"),
            (self.initrd.is_some(), "--initrd"),
            (self.append.is_some(), "--append"),
        ];
        flags.into_iter().find_map(|(is, flag)| is.then_some(flag))
    }

    /// Whether a command runs.
    ///
    /// # Errors
    ///
    /// When it is a system of its own instead.
    pub fn check_command(&self) -> Result<(), OnlyForRun> {
        match self.initrd {
            Some(_) => Err(OnlyForRun),
            None => Ok(()),
        }
    }

    /// What they say.
    pub fn guest(&self) -> GuestBoot {
        GuestBoot {
            kernel: match &self.kernel {
                Some(path) => GuestKernel::File(path.clone()),
                None => GuestKernel::BuiltIn,
            },
            initrd: self.initrd.clone(),
            parameters: self.append.clone(),
        }
    }
}

/// There is no command.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "--initrd is for jaula run: the system in there runs no command that can be held against another"
)]
pub struct OnlyForRun;

/// Something was asked for that jaula's init does, which a system of its own does not have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} means nothing with --initrd: the VM runs the system in there, and nothing of jaula's")]
pub struct OfOurInit(&'static str);

impl WorkloadArgs {
    /// Whether only what can be honoured is asked of a system of its own.
    ///
    /// # Errors
    ///
    /// What can't be.
    pub fn check_own_system(&self) -> Result<(), OfOurInit> {
        if self.boot.initrd.is_none() {
            return Ok(());
        }
        let (process, files) = (&self.process, &self.files);
        let has_command = self
            .source_and_command()
            .is_ok_and(|(_, words)| !words.is_empty());
        let given = [
            (has_command, "a command"),
            (!process.env.is_empty(), "--env"),
            (!process.env_file.is_empty(), "--env-file"),
            (process.workdir.is_some(), "--workdir"),
            (process.user.is_some(), "--user"),
            (!process.group_add.is_empty(), "--group-add"),
            (process.entrypoint.is_some(), "--entrypoint"),
            (process.init, "--init"),
            (!process.ulimit.is_empty(), "--ulimit"),
            (process.interactive, "--interactive"),
            (process.hostname.is_some(), "--hostname"),
            (!files.volume.is_empty(), "--volume"),
            (!files.mount.is_empty(), "--mount"),
            (!files.tmpfs.is_empty(), "--tmpfs"),
            (files.read_only, "--read-only"),
            (self.limits.pids_limit.is_some(), "--pids-limit"),
        ];
        let given = given.into_iter().find_map(|(is, flag)| is.then_some(flag));
        let given = given
            .or_else(|| self.network.given())
            .or_else(|| self.security.given());
        given.map_or(Ok(()), |flag| Err(OfOurInit(flag)))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Action, Cli};

    fn checked(words: &[&str]) -> Result<(), OfOurInit> {
        let line = [&["jaula", "run", "--as", "vm"], words].concat();
        match Cli::try_parse_from(line).unwrap().action {
            Action::Run(run) => run.workload.check_own_system(),
            _ => panic!("not a run"),
        }
    }

    #[test]
    fn what_jaulas_init_would_do_is_refused_by_its_flag() {
        for (words, refused) in [
            (&["busybox"][..], None),
            (
                &["-m", "64m", "--cpus", "1", "--name", "x", "busybox"],
                None,
            ),
            (
                &["--network", "none", "--append", "-- single", "busybox"],
                None,
            ),
            (&["busybox", "true"], Some("a command")),
            (&["-e", "A=b", "busybox"], Some("--env")),
            (&["-v", "/a:/b", "busybox"], Some("--volume")),
            (&["--tmpfs", "/t", "busybox"], Some("--tmpfs")),
            (&["-u", "1", "busybox"], Some("--user")),
            (&["-i", "busybox"], Some("--interactive")),
            (&["-p", "80", "busybox"], Some("--publish")),
            (
                &["--network", "bridge", "busybox"],
                Some("--network bridge"),
            ),
            (&["--dns", "1.1.1.1", "busybox"], Some("--dns")),
            (&["--cap-drop", "ALL", "busybox"], Some("--cap-drop")),
        ] {
            let with = [&["--initrd", "i"], words].concat();
            assert_eq!(checked(&with).err().map(|error| error.0), refused);
            assert_eq!(checked(words), Ok(()), "{words:?}");
        }
    }
}
