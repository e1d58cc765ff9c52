//! What is done with instances that were started before, by whomever: nothing of it needs their
//! owner's help.

pub mod announce;
pub mod asked;
mod duration;
mod endpoint;
mod exec;
mod follow;
mod inside;
mod inspect;
mod kill;
mod logs;
mod pause;
mod port;
mod ps;
mod reach;
mod rm;
mod stats;
mod stop;
mod wait;

use std::error::Error as StdError;

use host::RunDir;
use host::instances::{FindError, Found, Instances};
use launch::Port;

use crate::error::{self, Error};
use crate::installation::Installation;
use crate::one_by_one;

pub use exec::exec;
pub use inspect::inspect;
pub use kill::kill;
pub use logs::logs;
pub use pause::{pause, unpause};
pub use port::port;
pub use ps::ps;
pub use rm::rm;
pub use stats::stats;
pub use stop::stop;
pub use wait::wait;

/// The instances that there are, and where.
pub struct World {
    run: RunDir,
    instances: Instances,
}

/// Why something was not done with an instance.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Find(#[from] FindError),
    #[error(transparent)]
    RunDir(#[from] host::rundir::Error),
    #[error("instance {0} is not running")]
    NotRunning(String),
    #[error("instance {0} is paused already")]
    Paused(String),
    #[error("instance {0} is paused")]
    StandsStill(String),
    #[error("instance {0} is not paused")]
    NotPaused(String),
    #[error("instance {0} has no cgroup of its own")]
    NoCgroup(String),
    #[error("instance {0} is running")]
    Running(String),
    #[error("instance {0} is not one that jaula run -d started: what it says went to its caller")]
    NotLogged(String),
    #[error("instance {0} did not end when it was killed")]
    Alive(String),
    #[error("how instance {0} ended is not known: the process that waited for it was killed")]
    Unknown(String),
    #[error("instance {0} publishes no port {1}")]
    NotPublished(String, Port),
    #[error("instance {0} has no field {1}")]
    NoField(String, String),
    #[error(transparent)]
    Cgroup(#[from] host::cgroup::Error),
    #[error(transparent)]
    Launcher(#[from] launch::Error),
    #[error("instance {name} can't be {what}")]
    Io {
        name: String,
        what: &'static str,
        source: std::io::Error,
    },
}

impl Failure {
    fn io(found: &Found, what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let name = found.record.name.clone();
        move |source| Self::Io { name, what, source }
    }

    fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::StandsStill(_) => Some("let it go on first, with jaula unpause"),
            Self::Running(_) => Some("stop it first, or add --force"),
            _ => None,
        }
    }
}

/// What someone who asked is told; the exit code is docker's.
impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::NotDone(failure.into())
    }
}

impl From<Failure> for launch::Error {
    fn from(failure: Failure) -> Self {
        let remedy = failure.remedy();
        Self::remedied(failure, remedy)
    }
}

impl World {
    fn open() -> Result<Self, Error> {
        let installation = Installation::of_user().map_err(launch::Error::new)?;
        let run = RunDir::at(installation.run_dir()).map_err(launch::Error::from)?;
        let instances = Instances::of(&run);
        Ok(Self { run, instances })
    }

    /// Does something with each instance of these names; what fails is said, and the rest is done
    /// all the same.
    fn each(
        names: &[String],
        act: impl Fn(&Self, &Found) -> Result<(), Failure>,
    ) -> Result<u8, Error> {
        let world = Self::open()?;
        Ok(one_by_one::each(names, |name| {
            let found = world.instances.find(name).map_err(Failure::from)?;
            Ok(act(&world, &found)?)
        }))
    }

    fn cgroup(&self, found: &Found) -> Result<host::cgroup::CgroupView, Failure> {
        let name = &found.record.name;
        let cgroup = self.run.cgroup_of(found.directory())?;
        cgroup.ok_or_else(|| Failure::NoCgroup(name.clone()))
    }

    /// Whether it stands still. One whose cgroup can't be looked at does not, as far as is known.
    fn is_paused(&self, found: &Found) -> bool {
        found.is_running()
            && self
                .cgroup(found)
                .and_then(|cgroup| Ok(cgroup.is_frozen()?))
                .unwrap_or(false)
    }
}

fn print(failure: Failure) {
    error::print(&launch::Error::from(failure) as &(dyn StdError + 'static));
}

/// Refuses one that has ended.
fn running(found: &Found) -> Result<(), Failure> {
    if found.is_running() {
        Ok(())
    } else {
        Err(Failure::NotRunning(found.record.name.clone()))
    }
}
