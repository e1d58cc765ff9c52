//! The one interface that a Linux container and a KVM microVM are launched through.
//!
//! A newcomer can read this crate in the order in which a launch happens:
//!
//! 1. [`Workload`] says *what* runs: a root file system, a [`Command`], its limits. It holds
//!    nothing that only one side understands.
//! 2. [`Launcher`] is one side. [`Launcher::probe`] says whether this host can run it and what
//!    is missing. [`Launcher::prepare`] does what may be cached and is not startup (a disk image
//!    built, a kernel found) and hands out a [`Prepared`], the only way to a launch: so nothing
//!    can be launched unprepared, and preparation can't be timed by mistake.
//! 3. [`Prepared::launch`] starts the workload on the three descriptors of [`Stdio`] and returns
//!    an [`Instance`].
//! 4. [`Instance`] is waited for, signalled and measured: [`Timeline`] says where the time went,
//!    [`Footprint`] what it cost the host. Dropping it leaves nothing behind.
//!
//! ```
//! # fn main() -> Result<(), launch::Error> {
//! use launch::fake::FakeLauncher;
//! use launch::{ExitStatus, Launcher, NoProgress, Stdio};
//!
//! let launcher = FakeLauncher::exiting(ExitStatus::Exited(42));
//! let prepared = launcher.prepare(&launch::fake::workload(), &NoProgress)?;
//! let instance = prepared.launch(Stdio::null()?)?;
//! assert_eq!(instance.wait(None)?, Some(ExitStatus::Exited(42)));
//! assert_eq!(ExitStatus::Exited(42).code(), 42);
//! # Ok(())
//! # }
//! ```
//!
//! Nothing here assumes a processor architecture, and no backend lives here: `container` and
//! `vmm` implement these traits and never know of each other.

mod clock;
mod command;
mod disk_files;
mod error;
mod exit_status;
pub mod fake;
mod footprint;
mod further;
mod guest_memory;
mod id;
mod launcher;
mod mount;
mod network;
mod port;
mod probe;
mod resources;
mod security;
mod size;
mod stdio;
mod surface;
mod terminal;
mod timeline;
mod ulimit;
mod usage;
mod workload;

pub use clock::MonotonicNs;
pub use command::{Command, CommandError, Credentials};
pub use disk_files::DiskFiles;
pub use error::{Chain, Error};
pub use exit_status::ExitStatus;
pub use footprint::{Charge, Footprint};
pub use further::Further;
pub use guest_memory::GuestMemory;
pub use id::{InstanceId, InvalidName};
pub use launcher::{
    Instance, Launcher, NoProgress, Prepared, Progress, Running, Side, Unsupported,
};
pub use mount::{Device, DeviceAccess, InvalidMountPoint, Mount, MountPoint, MountSource};
pub use network::{Endpoint, ExtraHost, HostAddress, Names, Network, NetworkRate};
pub use port::{InvalidPortRange, Port, PortMapping, PortRange, Protocol, PublishedPort};
pub use probe::{Finding, Level};
pub use resources::{
    CpuLimit, CpuSet, InvalidResource, MemoryLimit, MemorySwap, PidsLimit, Resources,
};
pub use security::{CapabilityName, CapabilitySet, Seccomp, Security, UnknownCapability};
pub use size::{ByteSize, InvalidSize};
pub use stdio::Stdio;
pub use surface::Surface;
pub use terminal::WindowSize;
pub use timeline::{Span, Timeline};
pub use ulimit::{InvalidUlimit, Ulimit};
pub use usage::Usage;
pub use workload::{Digest, Hostname, InvalidHostname, Layers, RootFs, Workload};
