//! From what was typed to what is to run.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use guest_images::store::ImageConfig;
use guest_images::{
    Image, ImageError, ImageRef, InvalidImage, InvalidUserSpec, Sources, UserError, UserSpec,
    look_up, look_up_groups,
};
use launch::{
    Command, CommandError, Hostname, InvalidHostname, Port, Progress, Resources, Seccomp, Security,
    WindowSize, Workload,
};
use registry::PullError;

use crate::args::{NeedsBridge, NoImage, OfOurInit, Pull, SecurityArgs, Source, WorkloadArgs};
use crate::environment::{self, DEFAULT_PATH, DEFAULT_TERM, Environment, NoName};
use crate::exposed_ports::{exposed_ports, publish_all};
use crate::installation::Installation;
use crate::mounts::{self, MountError, Origins};
use crate::notation::{DeviceArg, EnvFileError, SeccompArg};
use crate::volumes::{UsedVolume, Volumes};

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
    /// The image can't be pulled.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// Asked of a system of its own.
    #[error(transparent)]
    OfOurInit(#[from] OfOurInit),
    /// Ports without a network.
    #[error(transparent)]
    Network(#[from] NeedsBridge),
    /// A file of variables can't be used.
    #[error(transparent)]
    EnvFile(#[from] EnvFileError),
    /// Something can't be mounted.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// The seccomp profile is not there, or may not be read.
    #[error("can't read the seccomp profile {}", path.display())]
    SeccompProfile {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The default hostname is none.
    #[error(transparent)]
    Hostname(#[from] InvalidHostname),
}

impl Error {
    fn remedy(&self) -> Option<String> {
        match self {
            Self::OfOurInit(_) => Some("leave it out".into()),
            Self::NoImage(_) => Some("give an image or --rootfs DIR".into()),
            Self::Image(error) => error.remedy().map(Into::into),
            Self::Pull(error) => error.remedy().map(Into::into),
            Self::Mount(error) => error.remedy(),
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

/// What a workload is made of, and nobody removes while this is held: to be held for as long as
/// it runs.
#[derive(Debug)]
pub struct Held {
    image: Image,
    exposed: Vec<Port>,
    _volumes: Vec<UsedVolume>,
}

impl Held {
    /// The signal that the image names to end its command, as it is written there.
    pub fn stop_signal(&self) -> Option<&str> {
        self.image.config.stop_signal.as_deref()
    }

    /// The ports that the command is said to listen on, in order.
    pub fn exposed_ports(&self) -> &[Port] {
        &self.exposed
    }
}

/// What was typed, with all there that a launch needs.
pub struct Typed {
    pub installation: Installation,
    pub workload: Workload,
    pub held: Held,
}

/// Clears away what crashed runs left, and makes a workload of what was typed. With `terminal`, its
/// command has one of this size.
pub fn prepare(
    args: &WorkloadArgs,
    terminal: Option<WindowSize>,
    progress: &dyn Progress,
) -> Result<Typed, launch::Error> {
    let installation = Installation::of_user().map_err(launch::Error::new)?;
    installation.sweep()?;
    let images = installation.images()?;
    let volumes = installation.volumes()?;
    let sources = args.sources(&installation.cache, &images);
    let (workload, held) = from_args(args, terminal, sources, &volumes, progress)?;
    Ok(Typed {
        installation,
        workload,
        held,
    })
}

/// Unpacks the image if need be, and looks up in it what depends on it.
fn from_args(
    args: &WorkloadArgs,
    terminal: Option<WindowSize>,
    sources: Sources<'_>,
    volumes: &Volumes,
    progress: &dyn Progress,
) -> Result<(Workload, Held), Error> {
    // All that was typed, before a large image is read for nothing.
    let (source, words) = args.source_and_command()?;
    args.check_own_system()?;
    // What a system of its own runs is its affair.
    let own = [OsString::from("init")];
    let words = match args.boot.initrd {
        Some(_) => &own,
        None => words,
    };
    let mut network = args.network.network()?;
    let resources = resources(args);
    let security = security(&args.security)?;
    let variables = environment::given(&args.process.env_file, &args.process.env)?;
    let image = match source {
        Source::Image(name) => name.as_os_str().try_into()?,
        Source::Directory(dir) => ImageRef::Directory(dir.clone()),
    };
    let entrypoint = args.process.entrypoint.as_deref();
    if words.is_empty()
        && (entrypoint == Some("") || entrypoint.is_none() && image.has_no_command())
    {
        return Err(CommandError::Empty.into());
    }

    let to_be_pulled = match (args.pull, &image) {
        (Pull::Always, ImageRef::Name(name)) => Some(name),
        (Pull::Missing, image) => image.missing(sources.store).map_err(ImageError::Store)?,
        _ => None,
    };
    if let Some(name) = to_be_pulled {
        registry::pull(name, None, sources.store, sources.limits, progress)?;
    }
    let image = image.resolve(sources, progress)?;
    if let Some(foreign) = image.config.foreign() {
        progress.note(&foreign);
    }
    let exposed = exposed_ports(&image.config.exposed_ports, &args.network.expose, progress);
    if args.network.publish_all {
        publish_all(&mut network, &exposed);
    }
    let root = image.root(args.files.read_only);
    let user = match &args.process.user {
        Some(user) => user.clone(),
        None if image.config.user.is_empty() => UserSpec::ROOT,
        None => image.config.user.parse().map_err(Error::ImageUser)?,
    };
    let user = look_up(&user, &root)?;
    let mut credentials = user.credentials;
    for group in look_up_groups(&args.process.group_add, &root)? {
        if !credentials.groups.contains(&group) {
            credentials.groups.push(group);
        }
    }
    let hostname: Hostname = match &args.process.hostname {
        Some(hostname) => hostname.clone(),
        None => DEFAULT_HOSTNAME.parse()?,
    };

    let mut environment = Environment::default();
    environment.set("PATH", DEFAULT_PATH);
    environment.set("HOSTNAME", hostname.to_string());
    if terminal.is_some() {
        environment.set("TERM", DEFAULT_TERM);
    }
    environment.set("HOME", OsStr::from_bytes(user.home.to_bytes()));
    for variable in &image.config.env {
        // One without a value is empty: an image may not ask for one of the caller's.
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        if name.is_empty() {
            return Err(Error::ImageEnv(NoName));
        }
        environment.set(name, value);
    }
    for variable in &variables {
        environment.apply(variable);
    }

    let cwd = match &args.process.workdir {
        Some(dir) => dir.clone(),
        // docker takes an image's relative one as one in the root.
        None => format!("/{}", image.config.working_dir.trim_start_matches('/')).into(),
    };
    let command = Command::new(
        argv(entrypoint, words, &image.config),
        environment.into_strings(),
        cwd.into_vec(),
        credentials,
    )?;
    let devices = args.files.device.iter();
    let origins = Origins {
        volumes,
        root: &root,
        image_volumes: &image.config.volumes,
    };
    let (mounts, volumes) = mounts::resolve(args.files.mounts(), origins)?;
    let workload = Workload {
        name: args.name.clone(),
        resources,
        mounts,
        devices: devices.map(|DeviceArg(device)| device.clone()).collect(),
        network,
        names: args.network.names(),
        security,
        ulimits: args.process.ulimit.clone(),
        init: args.process.init,
        terminal,
        ..Workload::new(root, command, hostname)
    };
    let held = Held {
        image,
        exposed,
        _volumes: volumes,
    };
    Ok((workload, held))
}

/// What is executed: the image's entrypoint and command, each of which what was typed replaces.
/// With another entrypoint the image's command means nothing, as in docker; an empty one stands
/// for none.
fn argv(entrypoint: Option<&str>, words: &[OsString], config: &ImageConfig) -> Vec<Vec<u8>> {
    let bytes = |words: &[String]| -> Vec<Vec<u8>> {
        words.iter().map(|word| word.clone().into_bytes()).collect()
    };
    let (mut argv, default) = match entrypoint {
        Some("") => (Vec::new(), Vec::new()),
        Some(program) => (vec![program.as_bytes().to_vec()], Vec::new()),
        None => (bytes(&config.entrypoint), bytes(&config.cmd)),
    };
    if words.is_empty() {
        argv.extend(default);
    }
    argv.extend(words.iter().map(|word| word.as_bytes().to_vec()));
    argv
}

fn resources(args: &WorkloadArgs) -> Resources {
    let limits = &args.limits;
    Resources {
        memory: limits.memory,
        memory_swap: limits.memory_swap,
        cpus: limits.cpus,
        cpuset: limits.cpuset_cpus.clone(),
        pids: limits.pids_limit.and_then(|limit| limit.0),
    }
}

fn security(args: &SecurityArgs) -> Result<Security, Error> {
    let default = Security::default();
    let seccomp = match args.seccomp() {
        SeccompArg::Default => Seccomp::Default,
        SeccompArg::Unconfined => Seccomp::Unconfined,
        SeccompArg::File(path) => {
            let text = std::fs::read_to_string(path);
            Seccomp::Profile(text.map_err(|source| Error::SeccompProfile {
                path: path.clone(),
                source,
            })?)
        }
    };
    Ok(Security {
        capabilities: args.capabilities(),
        seccomp,
        no_new_privileges: args
            .no_new_privileges()
            .unwrap_or(default.no_new_privileges),
    })
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
        let volumes = Volumes::new(dir.path().join("volumes"));
        from_args(&run.workload, None, sources, &volumes, &NoProgress)
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
            (&["e", "1"], &["c"], Some(""), &["w"], &["w"]),
            (&["e", "1"], &["c"], Some(""), &[], &[]),
        ] {
            let config = ImageConfig {
                entrypoint: strings(entrypoint),
                cmd: strings(cmd),
                ..ImageConfig::default()
            };
            let words: Vec<_> = words.iter().map(OsString::from).collect();
            let argv = argv(typed, &words, &config);
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
