use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use launch::CpuSet;
use nix::unistd::Pid;

use super::controller::Controller;

/// What can't be done with cgroups.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of `/proc` or of a cgroup can't be read.
    #[error("can't read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A control file was read, but what it should say was not in it.
    #[error("{path} does not say {key}")]
    NoFigure {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        key: &'static str,
    },
    /// No hierarchy that can be reached has the controller.
    #[error("no cgroup hierarchy with the {0} controller is mounted where it can be reached")]
    NoController(Controller),
    /// An instance's cgroup is not where it was made, as seen from here.
    #[error("cgroup {0} is not mounted here")]
    NotMounted(PathBuf),
    /// The user may not make cgroups.
    #[error("no permission to make a cgroup with the {controller} controller in {parent}")]
    Denied {
        /// What it was wanted for.
        controller: Controller,
        /// Where it was to be made.
        parent: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Version 2: those cgroups that could hand the controller down hold processes themselves.
    #[error(
        "{cgroup} can't hand the {controller} controller to a cgroup below it: it holds processes itself"
    )]
    Occupied {
        /// What it was wanted for.
        controller: Controller,
        /// The cgroup nearest to our own.
        cgroup: PathBuf,
    },
    /// Version 2: the controller is not handed down to where we may make cgroups.
    #[error("{cgroup} is not given the {controller} controller from above")]
    NotDelegated {
        /// What it was wanted for.
        controller: Controller,
        /// The cgroup nearest to our own.
        cgroup: PathBuf,
    },
    /// Somebody else's cgroup has the instance's name.
    #[error("cgroup {0} exists already")]
    Exists(PathBuf),
    /// The cgroup can't be made.
    #[error("can't make cgroup {path}")]
    Make {
        /// The cgroup.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A limit or another setting was refused.
    #[error("can't write {value:?} to {path}")]
    Set {
        /// The control file.
        path: PathBuf,
        /// What was written.
        value: String,
        /// Why.
        source: io::Error,
    },
    /// Swap was limited, and the kernel can't do that.
    #[error("this kernel does not account for swap, so that it can't be limited")]
    NoSwapAccounting,
    /// CPUs were asked for that are not the caller's to give.
    #[error("CPUs {asked} were asked for, and {cgroup} has only {given}")]
    Cpus {
        /// What was asked for.
        asked: CpuSet,
        /// What there is.
        given: CpuSet,
        /// The cgroup in which the instance's is to be made.
        cgroup: PathBuf,
    },
    /// The kernel does not take the program that keeps devices away.
    #[error("can't limit the devices of cgroup {path}")]
    Devices {
        /// The cgroup.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The caller may not move a process of its own into the instance's cgroup.
    #[error(
        "no permission to move a process from our cgroup to {path}, since {above} is above both"
    )]
    NotJoinable {
        /// The instance's cgroup.
        path: PathBuf,
        /// The nearest cgroup that holds both.
        above: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A process can't be moved into the cgroup.
    #[error("can't move process {pid} into cgroup {path}")]
    Add {
        /// The process.
        pid: Pid,
        /// The cgroup.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The cgroup's way in can't be opened.
    #[error("can't open {path}")]
    Open {
        /// The control file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Processes can't be killed.
    #[error("can't kill the processes of cgroup {path}")]
    Kill {
        /// The cgroup.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Processes were killed and do not go, as one does that waits for a dead disk.
    #[error("cgroup {0} still holds processes, seconds after they were killed")]
    Busy(PathBuf),
    /// The instance's cgroup can't stop processes.
    #[error("the instance can't be frozen: it was started without a freezer")]
    NoFreezer,
    /// Processes don't stop, or don't go on.
    #[error("can't freeze or thaw cgroup {path}")]
    Freeze {
        /// The cgroup.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Processes were to be stopped and do not, as one does not that waits for a dead disk.
    #[error("cgroup {0} still has processes that run, seconds after they were to stop")]
    NotFrozen(PathBuf),
    /// The cgroup can't be removed.
    #[error("can't remove cgroup {path}")]
    Remove {
        /// The cgroup.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The cgroup is there but has no memory controller, so there is nothing to be measured.
    #[error("the instance's cgroup has no memory controller to be measured with")]
    Unmeasured,
    /// The instance runs in the cgroup of whoever started it.
    #[error("the instance has no cgroup of its own")]
    Inherited(#[source] Arc<Error>),
}

impl Error {
    /// Whether the host or the user's rights are such that there can be no cgroup, rather than
    /// that something went wrong: an instance without limits can do without one then.
    pub(crate) fn is_unavailable(&self) -> bool {
        matches!(
            self,
            Self::NoController(_)
                | Self::Denied { .. }
                | Self::Occupied { .. }
                | Self::NotDelegated { .. }
        )
    }

    /// What the user can do about it, where that is known.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::NoController(_) => Some(
                "boot a kernel that has the controller, mount its hierarchy, or leave the limit away",
            ),
            Self::Denied { .. } => Some(
                "run as root, or below a cgroup that is delegated to you: systemd-run --user --scope -p Delegate=yes jaula ...",
            ),
            Self::Occupied { .. } => Some(
                "start jaula in a cgroup of its own: systemd-run --scope -p Delegate=yes jaula ..., or DelegateSubgroup= in a service",
            ),
            Self::NotDelegated { .. } => Some(
                "let the cgroups above hand it down (cgroup.subtree_control; Delegate= in the systemd unit user@.service)",
            ),
            Self::NoSwapAccounting => Some("boot with swapaccount=1, or leave --memory-swap away"),
            Self::Cpus { .. } => Some("choose from those"),
            Self::Devices { .. } => Some(
                "run as root on a kernel with CONFIG_CGROUP_BPF, or mount the devices controller of cgroup version 1",
            ),
            Self::NotJoinable { .. } => Some(
                "do it from where the instance was started, or below the same delegated cgroup: systemd-run --user --scope -p Delegate=yes jaula ...",
            ),
            Self::Exists(_) => {
                Some("choose another --name, or remove the cgroup if it is a leftover")
            }
            Self::Busy(_) => {
                Some("see with ps what its processes wait for; the next run tries again")
            }
            Self::Inherited(cause) => cause.remedy(),
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
