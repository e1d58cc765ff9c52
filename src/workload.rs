//! From what was typed to what is to run.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use guest_images::store::ImageConfig;
use guest_images::{
    Image, ImageError, ImageRef, InvalidImage, InvalidUserSpec, Sources, UserError, UserSpec,
    look_up,
};
use launch::{Command, CommandError, Hostname, InvalidHostname, Progress, Resources, Workload};

use crate::args::{NoImage, Source, WorkloadArgs};
use crate::environment::{DEFAULT_PATH, Environment, NoName};

/// The hostname when none is asked for: the same on both sides and in every run, so that it
/// makes no difference where none is.
const DEFAULT_HOSTNAME: &str = "jaula";

/// Why what was typed is nothing that can run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing says what the root file system is.
    #[error(transparent)]
    NoImage(#[from] NoImage),
    /// That can't be an image.
    #[error(transparent)]
    InvalidImage(#[from] InvalidImage),
    /// The image can't be used.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The image says of its user what can't be one.
    #[error("the image's user can't be used")]
    ImageUser(#[source] InvalidUserSpec),
    /// The image has a variable without a name.
    #[error("the image's environment can't be used")]
    ImageEnv(#[source] NoName),
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

/// Unpacks the image if need be, and looks up in it what depends on it. The image must be held
/// for as long as the workload runs.
pub fn from_args(
    args: &WorkloadArgs,
    sources: Sources<'_>,
    progress: &dyn Progress,
) -> Result<(Workload, Image), Error> {
    let (source, words) = args.source_and_command()?;
    let image = match source {
        Source::Image(name) => name.as_os_str().try_into()?,
        Source::Directory(dir) => ImageRef::Directory(dir.clone()),
    };
    let words: Vec<_> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
    if words.is_empty() && args.entrypoint.is_none() && image.has_no_command() {
        // Before a large image is read for nothing.
        return Err(CommandError::Empty.into());
    }
    let image = image.resolve(sources, progress)?;
    let argv = argv(args.entrypoint.as_deref(), words, &image.config);
    let root = image.root(args.read_only);
    let user = match &args.user {
        Some(user) => user.clone(),
        None if image.config.user.is_empty() => UserSpec::ROOT,
        None => image.config.user.parse().map_err(Error::ImageUser)?,
    };
    let user = look_up(&user, &root)?;
    let hostname: Hostname = match &args.hostname {
        Some(hostname) => hostname.clone(),
        None => DEFAULT_HOSTNAME.parse()?,
    };

    let mut environment = Environment::default();
    environment.set("PATH", DEFAULT_PATH);
    environment.set("HOSTNAME", hostname.to_string());
    environment.set("HOME", OsStr::from_bytes(user.home.to_bytes()));
    for variable in &image.config.env {
        environment.apply(
            &OsString::from(variable)
                .try_into()
                .map_err(Error::ImageEnv)?,
        );
    }
    for variable in &args.env {
        environment.apply(variable);
    }

    let cwd = match &args.workdir {
        Some(dir) => dir.clone(),
        // docker takes an image's relative one as one in the root.
        None => format!("/{}", image.config.working_dir.trim_start_matches('/')).into(),
    };
    let command = Command::new(
        argv,
        environment.into_strings(),
        cwd.into_vec(),
        user.credentials,
    )?;
    let workload = Workload {
        name: args.name.clone(),
        resources: Resources {
            memory: args.memory,
            cpus: args.cpus,
            pids: args.pids_limit,
            ..Resources::default()
        },
        ..Workload::new(root, command, hostname)
    };
    Ok((workload, image))
}

/// What is executed: the image's entrypoint and command, each of which what was typed replaces.
/// With another entrypoint the image's command means nothing, as in docker.
fn argv(entrypoint: Option<&str>, words: Vec<Vec<u8>>, config: &ImageConfig) -> Vec<Vec<u8>> {
    let bytes = |words: &[String]| -> Vec<Vec<u8>> {
        words.iter().map(|word| word.clone().into_bytes()).collect()
    };
    let (mut argv, default) = match entrypoint {
        Some(program) => (vec![program.as_bytes().to_vec()], Vec::new()),
        None => (bytes(&config.entrypoint), bytes(&config.cmd)),
    };
    argv.extend(if words.is_empty() { default } else { words });
    argv
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser;
    use guest_images::Cache;
    use guest_images::store::Store;
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
        let store = Store::new(dir.path().join("images"));
        let sources = run.workload.sources(&cache, &store);
        from_args(&run.workload, sources, &NoProgress)
            .map(|(workload, _)| workload)
            .map_err(|error| error.to_string())
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
    fn what_is_typed_replaces_what_the_image_says() {
        let strings = |words: &[&str]| words.iter().map(|it| (*it).to_owned()).collect();
        for (entrypoint, cmd, typed, words, expected) in [
            (&[][..], &["sh"][..], None, &[][..], &["sh"][..]),
            (&[], &["sh"], None, &["ls", "-l"], &["ls", "-l"]),
            (&["e", "1"], &["c"], None, &[], &["e", "1", "c"]),
            (&["e", "1"], &["c"], None, &["w"], &["e", "1", "w"]),
            (&["e", "1"], &["c"], Some("p"), &[], &["p"]),
            (&["e", "1"], &["c"], Some("p"), &["w"], &["p", "w"]),
        ] {
            let config = ImageConfig {
                entrypoint: strings(entrypoint),
                cmd: strings(cmd),
                ..ImageConfig::default()
            };
            let words = words.iter().map(|word| word.as_bytes().to_vec()).collect();
            let argv = argv(typed, words, &config);
            assert_eq!(
                argv,
                expected.iter().map(|it| it.as_bytes()).collect::<Vec<_>>()
            );
        }
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
