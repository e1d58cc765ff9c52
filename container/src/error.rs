use std::io;
use std::path::PathBuf;

use entry::{Failure, InvalidPath, NoGateway, Step};
use launch::{CapabilitySet, ExitStatus};
use nix::errno::Errno;

/// Why a container can't be launched, or can't be reached.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The workload asks for what only root can give.
    #[error("supplementary groups can't be set by an ordinary user")]
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
    /// A name stands for what there is none of.
    #[error(transparent)]
    NoGateway(#[from] NoGateway),
    /// What the child process reports with can't be made.
    #[error("can't make what the container's process reports with")]
    Report(#[source] Errno),
    /// There is no child process.
    #[error("can't make a process in namespaces of its own")]
    Clone(#[source] Errno),
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
    /// What the user can do about it, where that is known.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Groups => Some("run as root, or leave the groups away"),
            Self::Capabilities(_) => Some("leave them away, or run jaula with them"),
            Self::Seccomp(_) => Some("correct the profile, or use seccomp=unconfined"),
            Self::NoGateway(_) => Some("give it an address, or add --network bridge"),
            Self::RootFs { .. } => Some("name a directory that you may read"),
            Self::Clone(errno) => clone_remedy(*errno),
            Self::Setup(failure) => setup_remedy(*failure),
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
