use std::fs::File;
use std::io::{self, Seek};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use guest_protocol::{FrameError, Task, read_message, write_message};
use launch::Stdio;
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use serde::{Deserialize, Serialize};

use super::Channel;
use crate::boot::kernel::Backing;
use crate::ring0::Ring0;

/// What the monitor is to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Config {
    /// The launcher's process ID, as the monitor sees it.
    pub(crate) launcher: i32,
    /// Size of guest memory.
    pub(crate) memory_bytes: u64,
    /// Who executes the guest kernel's instructions.
    pub(crate) ring0: Ring0,
    /// How the kernel comes into guest memory.
    pub(crate) backing: Backing,
    /// What the guest is to run.
    pub(crate) task: Task,
}

/// The files that go with a [`Config`].
#[derive(Debug)]
pub(crate) struct Descriptors {
    /// The kernel image, with a file position of its own.
    pub(crate) kernel: File,
    /// The disk image.
    pub(crate) disk: File,
    /// The command's standard streams.
    pub(crate) stdio: Stdio,
}

/// What there is to do can't be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The socket failed.
    #[error("the connection between launcher and monitor broke")]
    Socket(#[from] Errno),
    /// The file that holds it failed.
    #[error("the monitor can't be told what to do")]
    File(#[from] io::Error),
    /// It can't be written or read.
    #[error("the monitor can't be told what to do")]
    Frame(#[from] FrameError),
    /// Something is missing.
    #[error("the launcher did not say all that the monitor must know")]
    Incomplete,
}

impl Config {
    /// Tells it to the monitor: in a file, since a command's arguments may be longer than any
    /// packet, sent before the other descriptors.
    pub(crate) fn send(
        &self,
        channel: &Channel,
        descriptors: &Descriptors,
    ) -> Result<(), ConfigError> {
        let mut file = File::from(memfd_create(c"jaula-config", MFdFlags::MFD_CLOEXEC)?);
        write_message(&mut file, self)?;
        file.rewind()?;
        let mut all: Vec<BorrowedFd<'_>> = vec![file.as_fd()];
        all.extend([
            descriptors.kernel.as_fd(),
            descriptors.disk.as_fd(),
            descriptors.stdio.stdin.as_fd(),
            descriptors.stdio.stdout.as_fd(),
            descriptors.stdio.stderr.as_fd(),
        ]);
        Ok(channel.send_descriptors(&all)?)
    }

    /// Waits for what the launcher tells; `None` if that is gone.
    pub(crate) fn receive(channel: &Channel) -> Result<Option<(Self, Descriptors)>, ConfigError> {
        let Some(received) = channel.receive_descriptors()? else {
            return Ok(None);
        };
        let [config, kernel, disk, stdin, stdout, stderr] =
            <[OwnedFd; 6]>::try_from(received).map_err(|_| ConfigError::Incomplete)?;
        let config = read_message(&mut File::from(config))?.ok_or(ConfigError::Incomplete)?;
        let descriptors = Descriptors {
            kernel: kernel.into(),
            disk: disk.into(),
            stdio: Stdio {
                stdin,
                stdout,
                stderr,
            },
        };
        Ok(Some((config, descriptors)))
    }
}

#[cfg(test)]
mod tests {
    use launch::{Command, Credentials};

    use super::*;

    #[test]
    fn a_command_of_megabytes_arrives_whole() {
        let (ours, theirs) = Channel::pair().unwrap();
        let long = "x".repeat(1 << 20);
        let command = Command::new(["a", &long], [], "/", Credentials::default()).unwrap();
        let config = Config {
            launcher: 1,
            memory_bytes: 128 << 20,
            ring0: Ring0::Hardware {
                instructions_per_second: 1,
            },
            backing: Backing::Copied,
            task: Task {
                command,
                hostname: "a".parse().unwrap(),
                read_only: false,
                pids: None,
            },
        };
        let descriptors = Descriptors {
            kernel: tempfile::tempfile().unwrap(),
            disk: tempfile::tempfile().unwrap(),
            stdio: Stdio::null().unwrap(),
        };
        config.send(&ours, &descriptors).unwrap();
        let (received, _) = Config::receive(&Channel::new(theirs)).unwrap().unwrap();
        assert_eq!(received, config);
    }
}
