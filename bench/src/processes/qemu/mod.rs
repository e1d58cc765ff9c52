//! QEMU's `microvm`, with KVM: another monitor for the guest that ours boots.
//!
//! It gets the same kernel, command line, PID 1 and image. What differs in the guest is how PID 1 reaches
//! the host: QEMU needs a kernel module for vsock, so it is TCP, through QEMU's own network, to [listeners]
//! in a network namespace where nobody else is.
//!
//! [listeners]: meeting::Meeting

mod conversation;
mod instance;
mod last_words;
mod machine;
mod meeting;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::process::Command;

use guest_protocol::FrameError;
use host::search_path::is_installed;
use launch::{DiskFiles, Instance, Network, Prepared, Progress, Stdio, Workload};
use nix::sched::{CloneFlags, setns};
use nix::unistd::geteuid;
use vmm::{LentGuest, VmLauncher};

use super::spawned::{Role, Spawned, Start};
use instance::QemuInstance;
use meeting::Meeting;

/// Its name in `PATH`.
const PROGRAM: &str = "qemu-system-x86_64";

/// Why QEMU did not run a command.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// It ended, or its guest did, and this is what it said last.
    #[error("QEMU could not run it: {0}")]
    Ended(String),
    /// The same without a word.
    #[error("QEMU ended before the command did, and said nothing")]
    Silent,
    /// PID 1 could not start the command.
    #[error("the guest in QEMU could not start it")]
    NotStarted(#[source] entry::Failure),
    /// PID 1 could not be talked to.
    #[error("the guest in QEMU can't be talked to")]
    Conversation(#[from] FrameError),
    /// There is no place where QEMU and PID 1 are listened to.
    #[error("can't listen to a guest in QEMU")]
    Meeting(#[source] io::Error),
}

impl From<Error> for launch::Error {
    fn from(error: Error) -> Self {
        Self::new(error)
    }
}

/// Makes ready the workload for a machine of QEMU's, timed as a whole process: from the moment before its
/// `execve` to its end. As jaula's monitor does, it ends without more ado when PID 1 has told how the
/// command ended: it is killed then.
///
/// `launcher` has what a guest boots.
///
/// # Errors
///
/// When QEMU is not installed, the workload asks for what it can't be given here, which is named, the
/// caller is not root, or what a guest boots can't be made.
pub fn prepare(
    launcher: &VmLauncher,
    workload: &Workload,
    progress: &dyn Progress,
) -> Result<Box<dyn Prepared>, launch::Error> {
    if !is_installed(PROGRAM) {
        return Err(launch::Error::new(super::Error::NotInstalled)
            .with_remedy("apt install qemu-system-x86, or leave it out of --against"));
    }
    if !geteuid().is_root() {
        return Err(super::Error::NotRoot.into());
    }
    super::refuse([
        (!workload.mounts.is_empty(), "a mount"),
        (!workload.devices.is_empty(), "a device"),
        (workload.terminal.is_some(), "a terminal"),
        (workload.network != Network::default(), "a network"),
        (workload.resources.cpuset.is_some(), "a set of CPUs"),
    ])?;
    Ok(Box::new(PreparedQemu {
        guest: launcher.lend(workload, progress)?,
        meeting: Meeting::new().map_err(Error::Meeting)?,
    }))
}

struct PreparedQemu {
    guest: LentGuest,
    meeting: Meeting,
}

impl Prepared for PreparedQemu {
    fn disk_files(&self) -> DiskFiles {
        let LentGuest {
            kernel,
            initrd,
            disk,
            ..
        } = &self.guest;
        DiskFiles {
            image: vec![disk.clone()],
            fixed: vec![kernel.clone(), initrd.clone()],
            template: None,
        }
    }

    fn launch(&self, stdio: Stdio) -> Result<Box<dyn Instance>, launch::Error> {
        let listeners = self.meeting.listen().map_err(Error::Meeting)?;
        let (serial, its_stdout) = pipe()?;
        let (complaints, its_stderr) = pipe()?;
        let its_own = Stdio {
            stdout: its_stdout,
            stderr: its_stderr,
            ..Stdio::null().map_err(super::Error::Start)?
        };
        let mut program = Command::new(PROGRAM);
        program.args(machine::words(&self.guest));
        let namespace = self.meeting.namespace().as_raw_fd();
        let enter = move || {
            // SAFETY: it is open as long as `self` is, and this runs before `launch` returns.
            let namespace = unsafe { BorrowedFd::borrow_raw(namespace) };
            setns(namespace, CloneFlags::CLONE_NEWNET)
        };
        let process = Spawned::start(Start::now(program, its_own, Role::Helper, enter))?;
        let guest = self.guest.clone();
        let start = move || guest.start();
        let instance = QemuInstance::new(process, listeners, [serial, complaints], stdio, start)?;
        Ok(Box::new(instance))
    }
}

fn pipe() -> Result<(io::PipeReader, OwnedFd), super::Error> {
    let (reader, writer) = io::pipe().map_err(super::Error::Start)?;
    Ok((reader, writer.into()))
}
