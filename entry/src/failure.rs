use std::fmt;

use launch::ExitStatus;
use serde::{Deserialize, Serialize};

use crate::masks;
use crate::syscall;

/// A step on the way to the command. Small and without text, so that a child process which may
/// not allocate can name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// The user and the group of the launcher become those of the workload in a user namespace.
    UserMapping,
    /// The process moves into its cgroup.
    Cgroup,
    /// The cgroup becomes the root of a cgroup namespace.
    CgroupNamespace,
    /// The disk with the image is mounted.
    Disk,
    /// The device with the host's files is mounted.
    Shares,
    /// The file system that takes the workload's writes is made ready.
    Scratch,
    /// The directory is opened in which mounts are prepared.
    Stage,
    /// Mounts stop being shared with other mount namespaces.
    PrivateMounts,
    /// The image is opened.
    OpenImage,
    /// The directories that take the workload's writes are opened.
    OpenUpper,
    /// `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` are written.
    NameFiles,
    /// The overlay is mounted on the image.
    Overlay,
    /// `/proc`.
    Proc,
    /// `/sys`.
    Sys,
    /// `/dev` and its nodes and links.
    Dev,
    /// `/dev/pts`.
    DevPts,
    /// `/dev/shm`.
    DevShm,
    /// `/dev/mqueue`.
    DevMqueue,
    /// The path of this index in the list of masked and read-only paths is covered.
    Mask(u8),
    /// What the mount of this index shows is opened.
    MountSource(u16),
    /// The mount of this index is attached.
    Mount(u16),
    /// The device of this index is put into the root.
    Device(u16),
    /// The working directory is made if it is missing.
    MakeWorkingDirectory,
    /// The root is made read-only.
    ReadOnlyRoot,
    /// The overlay becomes the root.
    Pivot,
    /// The hostname is set.
    Hostname,
    /// The network namespace is entered.
    NetworkNamespace,
    /// The loopback interface is brought up.
    Loopback,
    /// The namespaces of a command that runs are entered.
    Namespaces,
    /// A session of its own.
    Session,
    /// A session keyring of its own.
    Keyring,
    /// The standard streams are put in place and every other descriptor is closed.
    Descriptors,
    /// The working directory is entered.
    WorkingDirectory,
    /// The limits of processes are set.
    Ulimits,
    /// Capabilities leave the bounding set.
    BoundingSet,
    /// The supplementary groups are set.
    Groups,
    /// The group is set.
    Group,
    /// The user is set.
    User,
    /// The capabilities are set.
    Capabilities,
    /// Privileges can't be gained any more.
    NoNewPrivileges,
    /// The filter of system calls is loaded.
    Filter,
    /// The process is bound to its parent's life.
    ParentDeath,
    /// The init that `--init` asks for is opened or executed.
    Init,
    /// Signals are reset.
    Signals,
    /// `execve` of the command: the only step whose failure is the command's, not ours.
    Exec,
    /// The command's terminal is opened.
    Terminal,
    /// The process is made that becomes a further command.
    Process,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UserMapping => "mapping the user into a user namespace",
            Self::Cgroup => "entering the cgroup",
            Self::CgroupNamespace => "making a cgroup namespace",
            Self::Disk => "mounting the disk",
            Self::Shares => "mounting the host's files",
            Self::Scratch => "preparing a file system for writes",
            Self::Stage => "opening the stage",
            Self::PrivateMounts => "making mounts private",
            Self::OpenImage => "opening the root file system",
            Self::OpenUpper => "opening the directory for writes",
            Self::NameFiles => "writing the files that names are looked up in",
            Self::Overlay => "mounting an overlay on the root file system",
            Self::Proc => "mounting /proc",
            Self::Sys => "mounting /sys",
            Self::Dev => "populating /dev",
            Self::DevPts => "mounting /dev/pts",
            Self::DevShm => "mounting /dev/shm",
            Self::DevMqueue => "mounting /dev/mqueue",
            Self::Mask(index) => return write!(f, "covering {}", masks::name(*index)),
            Self::MountSource(index) => return write!(f, "opening the source of mount {index}"),
            Self::Mount(index) => return write!(f, "mounting mount {index}"),
            Self::Device(index) => return write!(f, "adding device {index}"),
            Self::MakeWorkingDirectory => "making the working directory",
            Self::ReadOnlyRoot => "making the root read-only",
            Self::Pivot => "changing the root",
            Self::Hostname => "setting the hostname",
            Self::NetworkNamespace => "entering the network namespace",
            Self::Loopback => "bringing up the loopback interface",
            Self::Namespaces => "entering the command's namespaces",
            Self::Session => "starting a session",
            Self::Keyring => "joining a session keyring",
            Self::Descriptors => "putting descriptors in place",
            Self::WorkingDirectory => "entering the working directory",
            Self::Ulimits => "setting ulimits",
            Self::BoundingSet => "reducing the capability bounding set",
            Self::Groups => "setting supplementary groups",
            Self::Group => "setting the group",
            Self::User => "setting the user",
            Self::Capabilities => "setting capabilities",
            Self::NoNewPrivileges => "setting no_new_privs",
            Self::Filter => "loading the seccomp filter",
            Self::ParentDeath => "binding the process to its parent's life",
            Self::Init => "executing init",
            Self::Signals => "resetting signals",
            Self::Exec => "executing the command",
            Self::Terminal => "opening a terminal",
            Self::Process => "making a process",
        })
    }
}

/// Which step failed, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{step}: {}", std::io::Error::from_raw_os_error(*.errno))]
pub struct Failure {
    /// The step.
    pub step: Step,
    /// The `errno` it failed with.
    pub errno: i32,
}

impl Failure {
    /// How the command ended, if it was its own fault that it could not be executed: a shell's
    /// convention tells what is not there from what can't be run. `None` means that the launcher
    /// failed.
    pub fn exit_status(self) -> Option<ExitStatus> {
        match (self.step, self.errno) {
            (Step::Exec, libc::ENOENT | libc::ENOTDIR) => Some(ExitStatus::NotFound),
            (Step::Exec, errno) => Some(ExitStatus::NotExecutable(errno)),
            _ => None,
        }
    }
}

/// Says at which step a system call failed.
pub(crate) trait At<T> {
    fn at(self, step: Step) -> Result<T, Failure>;
}

impl<T> At<T> for syscall::Result<T> {
    fn at(self, step: Step) -> Result<T, Failure> {
        self.map_err(|syscall::Errno(errno)| Failure { step, errno })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_failed_exec_is_the_commands_own() {
        for (step, errno, status) in [
            (Step::Exec, libc::ENOENT, Some(ExitStatus::NotFound)),
            (Step::Exec, libc::ENOTDIR, Some(ExitStatus::NotFound)),
            (
                Step::Exec,
                libc::EACCES,
                Some(ExitStatus::NotExecutable(libc::EACCES)),
            ),
            (
                Step::Exec,
                libc::ENOEXEC,
                Some(ExitStatus::NotExecutable(libc::ENOEXEC)),
            ),
            (Step::Proc, libc::ENOENT, None),
            (Step::WorkingDirectory, libc::EACCES, None),
        ] {
            assert_eq!(Failure { step, errno }.exit_status(), status, "{step}");
        }
    }

    #[test]
    fn a_failure_names_the_step_and_the_reason() {
        let failure = Failure {
            step: Step::Proc,
            errno: libc::EPERM,
        };
        assert_eq!(
            failure.to_string(),
            "mounting /proc: Operation not permitted (os error 1)"
        );
    }

    #[test]
    fn an_index_from_a_hostile_guest_is_no_panic() {
        assert!(!Step::Mask(u8::MAX).to_string().is_empty());
    }
}
