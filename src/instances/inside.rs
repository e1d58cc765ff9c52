//! The way into what another process has launched.

use std::os::fd::AsFd;

use container::{RunningContainer, Target};
use guest_images::{User, UserSpec, look_up_among, look_up_in};
use host::instances::Found;
use launch::{Error, ExitStatus, Further, Running, Side, Stdio};
use vmm::{RunningVm, UserFiles};

use super::{Failure, World};

/// An instance that runs, into which commands can be put. All that differs between the sides is
/// here.
pub enum Inside<'a> {
    Container(RunningContainer<'a>),
    Vm(RunningVm),
}

/// It has ended meanwhile.
#[derive(Debug, thiserror::Error)]
#[error("the instance has ended")]
pub struct Ended;

impl World {
    /// Finds the way into one that runs. To be called before anything is done, while there is one
    /// thread: this process may be started anew.
    pub fn inside<'a>(&self, found: &'a Found) -> Result<Inside<'a>, Failure> {
        let ended = || Failure::NotRunning(found.record.name.clone());
        let asked = &found.record.asked;
        match asked.side {
            Side::Container => {
                container::protect_own_program().map_err(Error::from)?;
                let target = Target {
                    process: found.record.process,
                    security: &asked.security,
                    ulimits: &asked.ulimits,
                };
                let cgroup = self.run.cgroup_of(found.directory())?;
                let container = RunningContainer::find(target, cgroup).map_err(Error::from)?;
                Ok(Inside::Container(container.ok_or_else(ended)?))
            }
            Side::Vm => {
                let id = found.directory().clone();
                Ok(Inside::Vm(RunningVm::new(self.run.path(), id)))
            }
        }
    }
}

impl Inside<'_> {
    /// Looks a user up in its root.
    pub fn look_up(&self, user: &UserSpec) -> Result<User, Error> {
        match self {
            Self::Container(container) => {
                let root = container.root()?.ok_or_else(|| Error::new(Ended))?;
                look_up_in(user, root.as_fd()).map_err(Error::new)
            }
            Self::Vm(vm) => {
                let UserFiles { passwd, group } = vm.users()?;
                look_up_among(user, &passwd, &group).map_err(Error::new)
            }
        }
    }

    /// Runs a command in it, which is killed when this process ends.
    pub fn execute(&self, further: &Further, stdio: Stdio) -> Result<Box<dyn Running + '_>, Error> {
        match self {
            Self::Container(container) => container.execute(further, stdio),
            Self::Vm(vm) => vm.execute(further, &stdio),
        }
    }

    /// Runs one that has no streams and goes on when this process ends; how it ended instead, if it
    /// could not be executed.
    pub fn leave_running(&self, further: &Further) -> Result<Option<ExitStatus>, Error> {
        match self {
            Self::Container(container) => container.leave_running(further),
            Self::Vm(vm) => vm.leave_running(further),
        }
    }
}
