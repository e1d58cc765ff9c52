use std::io;
use std::path::PathBuf;

use entry::{Failure, InvalidPath, MountFailure, Step};
use launch::{CapabilitySet, ExitStatus, Workload};
use nix::errno::Errno;

/// Why a container can't be launched, or can't be reached.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller has no others to give.
    #[error("groups can't be added: there is none but yours")]
    Groups,
    /// The launcher has not got what it is to give.
    #[error("capabilities that jaula has not got itself can't be given: {0}")]
    Capabilities(CapabilitySet),
    /// The capabilities of the launcher can't be found out.
    #[error("can't read the capabilities of jaula itself")]
    OwnCapabilities(#[source] io::Error),
    /// What decides about system calls can't be made.
    #[error(transparent)]
    Seccomp(#[from] crate::seccomp::Error),
    /// The image's directory can't be used.
    #[error("root file system {dir} can't be used", dir = dir.display())]
    RootFs {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A path can't be given to a system call.
    #[error("path {0:?} holds a NUL byte")]
    Path(PathBuf),
    /// The same, of one that `entry` was given.
    #[error(transparent)]
    Entry(#[from] InvalidPath),
    /// There is no network of that kind.
    #[error(transparent)]
    Network(#[from] network::Error),
    /// The network namespace can't be given to the container's process.
    #[error("can't keep the network namespace open")]
    NetworkNamespace(#[source] io::Error),
    /// The cgroup can't be entered by what belongs to the container.
    #[error(transparent)]
    Cgroup(#[from] host::cgroup::Error),
    /// A mount can't be made.
    #[error(transparent)]
    Mount(#[from] MountFailure),
    /// A device can't be given to the command.
    #[error("{} can't be used as a device", path.display())]
    Device {
        /// Its node on the host.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no init to be executed.
    #[error("can't keep an init in memory")]
    Init(#[source] io::Error),
    /// The command's terminal can't be copied from and to.
    #[error("can't connect the terminal of the command")]
    Terminal(#[source] io::Error),
    /// What the child process reports with can't be made.
    #[error("can't make what the container's process reports with")]
    Report(#[source] Errno),
    /// There is no child process.
    #[error("can't make a process in namespaces of its own")]
    Clone(#[source] Errno),
    /// The container's process can't be looked at.
    #[error("can't look at the container's process")]
    Reach(#[source] io::Error),
    /// What is on record is not what it should be.
    #[error("process {0}, which is on record, is in no container")]
    NoContainer(i32),
    /// There is no process that could become the command.
    #[error("can't make a process that enters the container")]
    Join(#[source] Errno),
    /// This program can't be executed in a way that nothing in a container could overwrite it.
    #[error("can't keep jaula's own program from being overwritten")]
    OwnProgram(#[source] io::Error),
    /// A step on the way to the command failed.
    #[error(transparent)]
    Setup(#[from] Failure),
    /// The child process was killed, or died, and told nothing.
    #[error("the container's process died before the command started{}", how(*.0))]
    Died(Option<ExitStatus>),
    /// The process can't be waited for.
    #[error("can't wait for the container's process")]
    Wait(#[source] Errno),
    /// The process can't be signalled.
    #[error("can't signal the container's process")]
    Signal(#[source] Errno),
}

impl Error {
    /// Says which mount or device of the workload's it is about, if it is about one.
    pub(crate) fn naming(self, workload: &Workload) -> Self {
        let Self::Setup(failure) = self else {
            return self;
        };
        if let Some(mount) = MountFailure::of(failure, &workload.mounts) {
            return mount.into();
        }
        match failure.step {
            Step::Device(index) => match workload.devices.get(usize::from(index)) {
                Some(device) => Self::Device {
                    path: device.source.clone(),
                    source: io::Error::from_raw_os_error(failure.errno),
                },
                None => self,
            },
            _ => self,
        }
    }

    /// What the user can do about it, where that is known.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Groups => Some("run as root, or get more groups: see jaula doctor"),
            Self::Capabilities(_) => Some("leave them away, or run jaula with them"),
            Self::Seccomp(_) => Some("correct the profile, or use seccomp=unconfined"),
            Self::Cgroup(error) => error.remedy(),
            Self::Network(error) => error.remedy(),
            Self::Mount(error) => error.remedy(),
            Self::Device { .. } => Some("name a device node that you may use"),
            Self::RootFs { .. } => Some("name a directory that you may read"),
            Self::Clone(errno) => clone_remedy(*errno),
            Self::Setup(failure) => setup_remedy(*failure),
            Self::Init(error) if error.raw_os_error() == Some(libc::EACCES) => {
                Some("let programs be executed from memory: sysctl vm.memfd_noexec=1")
            }
            Self::Died(_) => Some("give it more memory, if it has a limit"),
            _ => None,
        }
    }
}

/// What to do when clone3(2) refuses namespaces.
fn clone_remedy(errno: Errno) -> Option<&'static str> {
    match errno {
        Errno::EPERM => Some(
            "run as root, or let users make user namespaces (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)",
        ),
        Errno::ENOSPC => Some("raise the limits of namespaces: sysctl user | grep max_"),
        Errno::EAGAIN => Some("raise the limit of processes: ulimit -u"),
        Errno::EINVAL | Errno::ENOSYS => {
            Some("use a kernel of version 5.12 or later, with all namespaces configured")
        }
        _ => None,
    }
}

fn setup_remedy(failure: Failure) -> Option<&'static str> {
    match (failure.step, failure.errno) {
        (Step::Overlay, libc::ENODEV) => Some("load overlayfs: modprobe overlay"),
        (Step::OpenImage | Step::OpenUpper, libc::EACCES) => {
            Some("make all directories above it searchable for your user")
        }
        (Step::Proc | Step::Sys, libc::EPERM) => Some(
            "run as root: what hides parts of /proc or /sys here keeps users from mounting new ones",
        ),
        (Step::Proc | Step::Sys | Step::Dev, libc::ELOOP | libc::ENOTDIR) => {
            Some("make it a directory in the image")
        }
        (Step::Groups | Step::Group | Step::User, libc::EINVAL) => {
            Some("choose one that there is: see the ranges in /etc/subuid and /etc/subgid")
        }
        (Step::WorkingDirectory, libc::ENOENT | libc::ENOTDIR) => {
            Some("name a directory that is there, with --workdir")
        }
        (Step::Process, libc::EAGAIN) => Some("let it have more processes (--pids-limit)"),
        (Step::Ulimits, libc::EPERM) => Some("run as root, or ask for no more than ulimit -H says"),
        (_, libc::EACCES | libc::EPERM | libc::EOVERFLOW) => {
            Some("run as root, or own the image's files")
        }
        _ => None,
    }
}

fn how(status: Option<ExitStatus>) -> String {
    match status {
        Some(ExitStatus::Signaled(signal)) => format!(", killed by signal {signal}"),
        _ => String::new(),
    }
}

impl From<Error> for launch::Error {
    fn from(error: Error) -> Self {
        let remedy = error.remedy();
        Self::remedied(error, remedy)
    }
}
