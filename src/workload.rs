//! From what was typed to what is to run.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use guest_images::{Cache, ImageError, ImageRef, UnknownImage, UserError, UserSpec, look_up};
use launch::{Command, CommandError, Hostname, InvalidHostname, Progress, Resources, Workload};

use crate::args::{NoImage, Source, WorkloadArgs};
use crate::environment::{DEFAULT_PATH, Environment};

/// The hostname when none is asked for: the same on both sides and in every run, so that it
/// makes no difference where none is.
const DEFAULT_HOSTNAME: &str = "jaula";

/// Why what was typed is nothing that can run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing says what the root file system is.
    #[error(transparent)]
    NoImage(#[from] NoImage),
    /// There is no such image.
    #[error(transparent)]
    UnknownImage(#[from] UnknownImage),
    /// The image can't be used.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The image has no such user.
    #[error(transparent)]
    User(#[from] UserError),
    /// There is no command, or none that `execve` takes.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The default hostname is none.
    #[error(transparent)]
    Hostname(#[from] InvalidHostname),
}

impl Error {
    fn remedy(&self) -> Option<String> {
        match self {
            Self::NoImage(_) => Some("give an image or --rootfs DIR, see jaula run --help".into()),
            Self::Image(error) => error.remedy().map(Into::into),
            Self::Command(CommandError::Empty) => Some("put a command at the end".into()),
            _ => None,
        }
    }
}

impl From<Error> for launch::Error {
    fn from(error: Error) -> Self {
        let remedy = error.remedy();
        Self::remedied(error, remedy)
    }
}

/// Unpacks the image if need be, and looks up in it what depends on it.
pub fn from_args(
    args: &WorkloadArgs,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Workload, Error> {
    let (source, words) = args.source_and_command()?;
    let image = match source {
        Source::Image(name) => name.to_string_lossy().parse()?,
        Source::Directory(dir) => ImageRef::Directory(dir.clone()),
    };
    let words = words.iter().map(|word| word.as_bytes().to_vec());
    let argv: Vec<Vec<u8>> = match &args.entrypoint {
        Some(program) => std::iter::once(program.clone().into_bytes())
            .chain(words)
            .collect(),
        None if words.len() == 0 => {
            let default = image.default_command().iter();
            default.map(|word| word.as_bytes().to_vec()).collect()
        }
        None => words.collect(),
    };
    if argv.is_empty() {
        // Before a large image is read for nothing.
        return Err(CommandError::Empty.into());
    }
    let root = image.resolve(args.read_only, cache, progress)?;
    let user = look_up(args.user.as_ref().unwrap_or(&UserSpec::ROOT), &root)?;
    let hostname: Hostname = match &args.hostname {
        Some(hostname) => hostname.clone(),
        None => DEFAULT_HOSTNAME.parse()?,
    };

    let mut environment = Environment::default();
    environment.set("PATH", DEFAULT_PATH);
    environment.set("HOSTNAME", hostname.to_string());
    environment.set("HOME", OsStr::from_bytes(user.home.to_bytes()));
    for variable in &args.env {
        environment.apply(variable);
    }

    let cwd = args.workdir.clone().unwrap_or_else(|| "/".into());
    let command = Command::new(
        argv,
        environment.into_strings(),
        cwd.into_vec(),
        user.credentials,
    )?;
    Ok(Workload {
        name: args.name.clone(),
        resources: Resources {
            memory: args.memory,
            cpus: args.cpus,
            pids: args.pids_limit,
            ..Resources::default()
        },
        ..Workload::new(root, command, hostname)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser;
    use launch::NoProgress;
    use tempfile::TempDir;

    use super::*;
    use crate::args::{Action, Cli};

    /// The workload of `jaula run --rootfs DIR` and `line`, where DIR has a user `web`.
    fn workload(line: &[&str]) -> Result<Workload, String> {
        let dir = TempDir::new().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::write(root.join("etc/passwd"), "web:x:33:34::/var/www:/bin/sh\n").unwrap();
        fs::write(root.join("etc/group"), "logs:x:4:web\n").unwrap();
        let root = root.to_str().unwrap();
        let line = [&["jaula", "run", "--rootfs", root][..], line].concat();
        let Action::Run(run) = Cli::try_parse_from(line).unwrap().action else {
            panic!("not a run");
        };
        let cache = Cache::new(dir.path().join("cache"), []);
        from_args(&run.workload, &cache, &NoProgress).map_err(|error| error.to_string())
    }

    fn strings(of: &[std::ffi::CString]) -> Vec<&str> {
        of.iter().map(|string| string.to_str().unwrap()).collect()
    }

    #[test]
    fn the_environment_is_dockers_and_then_the_users() {
        let command = workload(&["-u", "web", "-e", "A=1", "-e", "PATH=/bin", "true"])
            .unwrap()
            .command;
        assert_eq!(
            strings(command.env()),
            ["PATH=/bin", "HOSTNAME=jaula", "HOME=/var/www", "A=1"]
        );
    }

    #[test]
    fn the_user_is_the_images() {
        let command = workload(&["-u", "web", "true"]).unwrap().command;
        let credentials = command.credentials();
        assert_eq!((credentials.uid, credentials.gid), (33, 34));
        assert_eq!(credentials.groups, [4]);
    }

    #[test]
    fn the_entrypoint_comes_before_the_command() {
        let command = workload(&["--entrypoint", "env", "-w", "/tmp", "a", "b"])
            .unwrap()
            .command;
        assert_eq!(strings(command.argv()), ["env", "a", "b"]);
        assert_eq!(command.cwd(), c"/tmp");
    }

    #[test]
    fn a_directory_has_no_command_of_its_own() {
        assert!(workload(&[]).unwrap_err().contains("no command given"));
    }

    #[test]
    fn a_relative_working_directory_is_refused() {
        let said = workload(&["-w", "tmp", "true"]).unwrap_err();
        assert!(said.contains("not an absolute path"), "{said}");
    }

    #[test]
    fn hostname_and_limits_are_passed_on() {
        let workload = workload(&[
            "-h",
            "web",
            "-m",
            "64m",
            "--cpus",
            "0.5",
            "--pids-limit",
            "9",
            "--name",
            "w",
            "true",
        ])
        .unwrap();
        assert_eq!(workload.hostname.to_string(), "web");
        let resources = workload.resources;
        assert_eq!(resources.memory.unwrap().bytes(), 64 << 20);
        assert_eq!(resources.cpus.unwrap().milli_cpus(), 500);
        assert_eq!(resources.pids.unwrap().get(), 9);
        assert_eq!(workload.name.unwrap().as_str(), "w");
    }
}
