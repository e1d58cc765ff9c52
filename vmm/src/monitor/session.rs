//! What every assignment has, whatever is to come of it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use guest_protocol::{FrameError, SHARES_TAG};
use launch::MonotonicNs;
use nix::errno::Errno;

use super::Channel;
use super::assignment::{AssignmentError, BootFrom, DiskFile, NetworkLink, SharedFile};
use super::launcher_watch::LauncherWatch;
use super::saving::SaveError;
use crate::boot::kernel::{Kernel, KernelError};
use crate::builder::{self, Boot, BuildError, Devices};
use crate::devices::virtio::balloon::Balloon;
use crate::devices::virtio::block::{Access, Block, BlockError, InvalidId};
use crate::devices::virtio::fs::{Fs, Limits, Share, ShareError};
use crate::devices::virtio::net::{Link, Net, Tap, TapError};
use crate::devices::virtio::rng::Rng;
use crate::guest_end::{GuestEnd, Said};
use crate::jail::{FilterError, JailError};
use crate::kvm::{self, KvmError};
use crate::machine::Machine;
use crate::ring0::Ring0;
use crate::snapshot::{HostIdentity, LeaseBreaks, MachineFacts, MemoryFileError, StateError};

/// What `/sys/block/vda/serial` shows in the guest.
const DISK_ID: &str = "jaula-root";

/// Why an assignment failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error(transparent)]
    Assignment(#[from] AssignmentError),
    #[error(transparent)]
    Kvm(#[from] KvmError),
    #[error("the kernel can't be used")]
    Kernel(#[source] KernelError),
    #[error("the root disk can't be used")]
    Disk(#[source] BlockError),
    #[error("there is no empty disk")]
    EmptyDisk(#[source] io::Error),
    #[error("can't make the guest's disks")]
    Disks(#[source] BlockError),
    #[error("no device can be put at {} in the image", path.display())]
    Device { path: PathBuf, source: io::Error },
    #[error(transparent)]
    DiskId(#[from] InvalidId),
    #[error(transparent)]
    Tap(#[from] TapError),
    #[error("can't make the guest's network interface")]
    Network(#[source] io::Error),
    #[error("can't make the guest's source of random numbers")]
    Random(#[source] io::Error),
    #[error("can't make the guest's memory balloon")]
    Balloon(#[source] io::Error),
    #[error("can't make the guest's power button")]
    PowerButton(#[source] io::Error),
    #[error("the host gives no random numbers")]
    Entropy(#[source] io::Error),
    #[error("can't make the guest's sockets")]
    Sockets(#[source] io::Error),
    #[error("can't share the host's files")]
    Shares(#[source] io::Error),
    #[error(transparent)]
    Share(#[from] ShareError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Memory(#[from] MemoryFileError),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error("can't watch the launcher")]
    Watch(#[source] Errno),
    #[error("can't watch the snapshot's memory")]
    Breaks(#[source] io::Error),
    #[error("can't look at its own memory")]
    Space(#[source] io::Error),
    #[error(transparent)]
    Jail(#[from] JailError),
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error("can't start a thread")]
    Thread(#[source] io::Error),
    #[error("can't serve the devices")]
    Devices(#[source] event_manager::Error),
    #[error(transparent)]
    GuestEnd(#[from] GuestEnd),
    #[error("the guest closed its control connection{0}")]
    Hangup(Said),
    #[error("the guest's answer can't be read")]
    Answer(#[source] FrameError),
    #[error("in the guest: {0}")]
    Guest(entry::Failure),
    #[error(transparent)]
    Mount(#[from] entry::MountFailure),
    #[error("the snapshot that this machine runs on was about to be changed by another program")]
    MemoryChanging,
    #[error(transparent)]
    Save(#[from] SaveError),
}

impl SessionError {
    /// What the user can do, if anything is known.
    pub(super) fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Kvm(error) => Some(error.remedy()),
            Self::State(error) => error.remedy(),
            Self::Mount(error) => error.remedy(),
            Self::Memory(error) => error.remedy(),
            Self::Device { .. } => Some("choose a path that exists, or that can be made"),
            Self::GuestEnd(GuestEnd::Run(_, error)) if error.lacks_an_instruction() => Some(
                "use jaula's own kernel, or a host with VT-x or AMD-V, whose KVM need not emulate it",
            ),
            Self::MemoryChanging => {
                Some("start it again when that program is done, or use a copy of the snapshot")
            }
            Self::Jail(error) => error.remedy(),
            Self::Save(error) => error.remedy(),
            _ => None,
        }
    }
}

/// What all assignments have.
pub(super) struct Session {
    pub(super) channel: Arc<Channel>,
    /// When it was known what to do.
    pub(super) spawned: MonotonicNs,
    pub(super) watch: LauncherWatch,
    pub(super) breaks: Arc<LeaseBreaks>,
    pub(super) ring0: Ring0,
    pub(super) host: HostIdentity,
    pub(super) facts: MachineFacts,
}

/// A machine that is about to boot.
pub(super) fn boot(
    from: BootFrom<OwnedFd>,
    ring0: Ring0,
    devices: Devices,
    done: impl FnMut(builder::Step),
) -> Result<Machine, SessionError> {
    let kvm = kvm::open()?;
    let image = Kernel::parse(from.kernel.image.into()).map_err(SessionError::Kernel)?;
    let from = Boot {
        kernel: &image,
        backing: from.kernel.backing,
        initrd: &from.initrd.image.into(),
        initrd_backing: from.initrd.backing,
        size: from.size,
        cpuid: &from.cpuid,
        ring0,
        command_line: &from.command_line,
    };
    Ok(builder::boot(kvm, from, devices, done)?)
}

/// The root disk, or what takes its place.
pub(super) fn disk(image: OwnedFd) -> Result<Arc<Mutex<Block>>, SessionError> {
    let disk = Block::new(File::from(image), Access::ReadOnly, DISK_ID.parse()?)
        .map_err(SessionError::Disk)?;
    Ok(Arc::new(Mutex::new(disk)))
}

/// The host's block devices, as disks.
pub(super) fn disks(
    devices: Vec<DiskFile<OwnedFd>>,
) -> Result<Vec<Arc<Mutex<Block>>>, SessionError> {
    let disks = devices.into_iter().zip(1..).map(|(disk, number)| {
        let id = format!("jaula-device-{number}").parse()?;
        let disk = Block::new(disk.device.into(), disk.access, id);
        Ok(Arc::new(Mutex::new(disk.map_err(SessionError::Disks)?)))
    });
    disks.collect()
}

/// Places for so many of them.
pub(super) fn places_for_disks(count: usize) -> Result<Vec<Arc<Mutex<Block>>>, SessionError> {
    let vacant = |_| {
        Ok(Arc::new(Mutex::new(
            Block::vacant().map_err(SessionError::Disks)?,
        )))
    };
    (0..count).map(vacant).collect()
}

/// The host's files that the guest may use.
pub(super) fn shares(files: Vec<SharedFile<OwnedFd>>) -> Result<Arc<Mutex<Fs>>, SessionError> {
    let limits = match files.is_empty() {
        true => Limits::NONE,
        false => Limits::of_process(),
    };
    let shares = files
        .into_iter()
        .map(|file| Share::new(file.root, file.read_only))
        .collect::<Result<_, _>>()?;
    let fs = Fs::new(SHARES_TAG, shares, limits).map_err(SessionError::Shares)?;
    Ok(Arc::new(Mutex::new(fs)))
}

/// The network interface, or the place for one.
pub(super) fn network(link: Option<NetworkLink<OwnedFd>>) -> Result<Arc<Mutex<Net>>, SessionError> {
    let link = match link {
        Some(link) => Some(Link {
            tap: Tap::new(link.tap)?,
            ethernet_address: link.interface.ethernet_address,
            mtu: link.mtu,
            rate: link.rate,
        }),
        None => None,
    };
    let network = Net::new(link).map_err(SessionError::Network)?;
    Ok(Arc::new(Mutex::new(network)))
}

/// The source of random numbers.
pub(super) fn random() -> Result<Arc<Mutex<Rng>>, SessionError> {
    let rng = Rng::new().map_err(SessionError::Random)?;
    Ok(Arc::new(Mutex::new(rng)))
}

/// What takes back the memory that the guest has freed.
pub(super) fn balloon() -> Result<Arc<Mutex<Balloon>>, SessionError> {
    let balloon = Balloon::new().map_err(SessionError::Balloon)?;
    Ok(Arc::new(Mutex::new(balloon)))
}

/// Whether the guest's kernel tells what it does.
pub(crate) fn is_verbose() -> bool {
    tracing::enabled!(tracing::Level::TRACE)
}
