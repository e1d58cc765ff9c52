use std::io;
use std::path::PathBuf;

use launch::{CpuLimit, MemoryLimit};
use nix::errno::Errno;

use super::MIN_MEMORY;
use crate::boot::kernel::KernelError;
use crate::kvm::KvmError;
use crate::monitor::{ChannelError, ConfigError};
use crate::ring0::ProbeError;

/// Why a machine can't be launched, or can't be reached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("a virtual machine has one CPU in this version, so {0} can't be given to it")]
    Cpus(CpuLimit),
    #[error("a virtual machine does not boot with {0} of memory")]
    Memory(MemoryLimit),
    #[error(transparent)]
    Kvm(#[from] KvmError),
    #[error(transparent)]
    Ring0(#[from] ProbeError),
    #[error("{} can't be booted", path.display())]
    Kernel { path: PathBuf, source: KernelError },
    #[error("can't open the disk image {}", path.display())]
    Disk { path: PathBuf, source: io::Error },
    #[error("can't start the monitor")]
    Spawn(#[source] io::Error),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Channel(#[from] ChannelError),
    #[error("can't wait for the monitor")]
    Wait(#[source] Errno),
    /// What the monitor said, in one line.
    #[error("{0}")]
    Failed(String),
    #[error("the monitor died: {0}")]
    Died(std::process::ExitStatus),
}

impl Error {
    fn remedy(&self) -> Option<String> {
        match self {
            Self::Cpus(_) => Some("ask for at most 1".to_owned()),
            Self::Memory(_) => Some(format!("give it {MIN_MEMORY} or more")),
            Self::Kvm(error) => Some(error.remedy().to_owned()),
            Self::Kernel { .. } => Some(
                "give an x86-64 vmlinux or bzImage, or none for the one that jaula builds"
                    .to_owned(),
            ),
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
