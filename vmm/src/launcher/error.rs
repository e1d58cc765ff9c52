use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;

use guest_images::{CacheError, InitramfsError};
use launch::{CpuLimit, InstanceId, MemoryLimit};
use nix::errno::Errno;

use super::MIN_MEMORY;
use crate::boot::cmdline::CommandLineError;
use crate::boot::kernel::KernelError;
use crate::devices::virtio::fs::ShareError;
use crate::kvm::KvmError;
use crate::monitor::{AssignmentError, ChannelError, Reason};
use crate::probe::ProbeError;
use crate::snapshot::{DraftError, MemoryFileError, StateError, StoreError};
use crate::vcpu::{VcpuCount, VcpuError};

/// Why a machine can't be launched, or can't be reached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0} CPUs are more than a virtual machine can have")]
    Cpus(CpuLimit),
    #[error("can't keep the tap open")]
    Tap(#[source] io::Error),
    #[error("a virtual machine does not boot with {0} of memory")]
    Memory(MemoryLimit),
    #[error(transparent)]
    Kvm(#[from] KvmError),
    #[error("a system with an initial RAM file system of its own can't start from a template")]
    OwnSystemWarm,
    #[error(transparent)]
    Cpuid(#[from] VcpuError),
    #[error(transparent)]
    Ring0(#[from] ProbeError),
    #[error("{} can't be booted", path.display())]
    Kernel { path: PathBuf, source: KernelError },
    #[error("{} can't be used as an initial RAM file system", path.display())]
    Initrd { path: PathBuf, source: io::Error },
    #[error("can't open the disk image {}", path.display())]
    Disk { path: PathBuf, source: io::Error },
    #[error("{} can't be shared with a virtual machine", path.display())]
    Share { path: PathBuf, source: ShareError },
    #[error("{count} files and directories are more than a virtual machine can share")]
    TooManyShares { count: usize, most: usize },
    #[error("{} can't be used as a device", path.display())]
    Device { path: PathBuf, source: io::Error },
    #[error("{count} devices are more than a virtual machine has places for")]
    TooManyDevices { count: usize, most: usize },
    #[error(transparent)]
    CommandLine(#[from] CommandLineError),
    #[error("can't make the name of a template")]
    Key(#[from] postcard::Error),
    #[error("{} can't be used", path.display())]
    Snapshot {
        path: PathBuf,
        source: SnapshotError,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Draft(#[from] DraftError),
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error(transparent)]
    Initramfs(#[from] InitramfsError),
    #[error("can't listen for requests in {}", path.display())]
    Listen { path: PathBuf, source: io::Error },
    #[error("there is no running virtual machine {0}")]
    NotRunning(InstanceId),
    #[error("the virtual machine {id} can't be asked")]
    Ask { id: InstanceId, source: io::Error },
    #[error("the virtual machine {0} ended before it was saved")]
    Ended(InstanceId),
    #[error("the virtual machine {id} does not take the signal: {}", reason.why)]
    NotSignalled { id: InstanceId, reason: Reason },
    #[error("the virtual machine {id} does not tell its memory: {}", reason.why)]
    NotTold { id: InstanceId, reason: Reason },
    #[error("no command can be run in the virtual machine {id}: {}", reason.why)]
    NotExecuted { id: InstanceId, reason: Reason },
    #[error("{path} in the virtual machine {id} can't be used: {why}")]
    UserFile {
        id: InstanceId,
        path: &'static str,
        why: &'static str,
    },
    #[error("can't keep the disk of the snapshot in {}", path.display())]
    KeepDisk { path: PathBuf, source: io::Error },
    #[error("can't start the monitor")]
    Spawn(#[source] io::Error),
    #[error(transparent)]
    Assignment(#[from] AssignmentError),
    #[error(transparent)]
    Channel(#[from] ChannelError),
    #[error("can't wait for the monitor")]
    Wait(#[source] Errno),
    #[error("the virtual machine {id} can't be saved: {}", reason.why)]
    NotSaved { id: InstanceId, reason: Reason },
    /// What the monitor said.
    #[error("{}", .0.why)]
    Failed(Reason),
    #[error("the monitor was killed, as it made a system call that it must not make")]
    Forbidden,
    #[error("the monitor died: {0}")]
    Died(ExitStatus),
}

/// Why a machine can't go on from a snapshot.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Memory(#[from] MemoryFileError),
    #[error("its disk image is missing")]
    NoDisk,
}

impl Error {
    /// Why a monitor with this status has ended, which has not said it.
    pub(super) fn of_dead(status: ExitStatus) -> Self {
        match status.signal() {
            Some(libc::SIGSYS) => Self::Forbidden,
            _ => Self::Died(status),
        }
    }

    fn remedy(&self) -> Option<String> {
        match self {
            Self::Cpus(_) => Some(format!("ask for at most {}", VcpuCount::MAX)),
            Self::Memory(_) => Some(format!("give it {MIN_MEMORY} or more")),
            Self::Kvm(error) => Some(error.remedy().to_owned()),
            Self::OwnSystemWarm => Some("leave --start out".to_owned()),
            Self::Initrd { .. } => Some("give an archive that its kernel unpacks".to_owned()),
            Self::CommandLine(_) => Some("leave out some of what is appended to it".to_owned()),
            Self::Kernel { .. } => Some(
                "give an x86-64 vmlinux or bzImage, or none for the one that jaula builds"
                    .to_owned(),
            ),
            Self::Share {
                source: ShareError::Special,
                ..
            } => Some("leave it out, or run it --as container".to_owned()),
            Self::Device { .. } => Some("name a device node that you may use".to_owned()),
            Self::TooManyDevices { most, .. } => Some(format!("give it at most {most}")),
            Self::TooManyShares { most, .. } => Some(format!(
                "mount at most {most}, or a directory that holds them"
            )),
            Self::Snapshot { source, .. } => match source {
                SnapshotError::State(error) => error.remedy().map(str::to_owned),
                SnapshotError::Memory(error) => error.remedy().map(str::to_owned),
                SnapshotError::NoDisk => Some(
                    "copy the snapshot again from where it is whole, or make it again".to_owned(),
                ),
            },
            Self::Store(error) => error.remedy().map(str::to_owned),
            Self::Draft(error) => error.remedy().map(str::to_owned),
            Self::Forbidden => Some(
                "tell the makers of jaula what dmesg says of it: a line with type=1326 and syscall="
                    .to_owned(),
            ),
            Self::NotRunning(_) => {
                Some("give the name of one that jaula run --as vm --name started".to_owned())
            }
            Self::KeepDisk { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("remove snapshots or other files there".to_owned())
            }
            Self::NotSaved { reason, .. }
            | Self::NotExecuted { reason, .. }
            | Self::NotTold { reason, .. }
            | Self::Failed(reason) => reason.remedy.clone(),
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
