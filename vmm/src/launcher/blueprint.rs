use std::ffi::CString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use guest_images::{Cache, Processors, initramfs_digest};
use launch::{Digest, MemoryLimit, Progress};
use sha2::{Digest as _, Sha256};

use super::error::Error;
use super::{GuestBoot, GuestKernel};
use crate::boot::Backing;
use crate::boot::cmdline::Voice;
use crate::boot::kernel::Kernel;
use crate::builder;
use crate::machine::Size;
use crate::monitor;
use crate::ring0::Ring0;
use crate::snapshot::{HostIdentity, MachineFacts};
use crate::vcpu::VcpuCount;

/// What is asked of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) memory: MemoryLimit,
    pub(super) vcpus: VcpuCount,
    /// Besides that of its root.
    pub(super) disks: usize,
}

impl Asked {
    /// Which kernel of ours it boots.
    fn processors(self) -> Processors {
        match self.vcpus {
            VcpuCount::ONE => Processors::One,
            _ => Processors::Several,
        }
    }
}

/// What a machine is, before it has anything to run.
#[derive(Clone, Debug)]
pub(super) struct Blueprint {
    pub(super) kernel: PathBuf,
    pub(super) backing: Backing,
    /// The user's, if it is not ours.
    pub(super) initrd: Option<PathBuf>,
    kernel_digest: Digest,
    pub(super) memory: MemoryLimit,
    vcpus: VcpuCount,
    pub(super) ring0: Ring0,
    pub(super) host: HostIdentity,
    /// How many disks it has besides that of its root.
    pub(super) disks: usize,
    pub(super) command_line: CString,
}

impl fmt::Display for Blueprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.vcpus {
            VcpuCount::ONE => write!(f, "{}", self.memory),
            several => write!(f, "{} and {} processors", self.memory, several.get()),
        }
    }
}

impl Blueprint {
    /// Finds, or builds, the kernel.
    pub(super) fn new(
        boot: &GuestBoot,
        asked: Asked,
        ring0: Ring0,
        cache: &Cache,
        progress: &dyn Progress,
    ) -> Result<Self, launch::Error> {
        match &boot.kernel {
            GuestKernel::File(path) => Self::of_file(path, boot, asked, ring0),
            GuestKernel::BuiltIn => {
                let kernel =
                    guest_images::Kernel::find_or_build(cache, asked.processors(), progress)?;
                Self::of_built_in(&kernel, boot, asked, ring0)
            }
        }
    }

    /// `None` if the kernel is not built.
    pub(super) fn find(
        boot: &GuestBoot,
        asked: Asked,
        ring0: Ring0,
        cache: &Cache,
    ) -> Result<Option<Self>, launch::Error> {
        match &boot.kernel {
            GuestKernel::File(path) => Self::of_file(path, boot, asked, ring0).map(Some),
            GuestKernel::BuiltIn => guest_images::Kernel::find(cache, asked.processors())?
                .map(|kernel| Self::of_built_in(&kernel, boot, asked, ring0))
                .transpose(),
        }
    }

    fn of_file(
        path: &Path,
        boot: &GuestBoot,
        asked: Asked,
        ring0: Ring0,
    ) -> Result<Self, launch::Error> {
        check_kernel(path)?;
        let digest = digest_of(path)?;
        Ok(Self::of(
            (path.to_owned(), Backing::Copied),
            digest,
            boot,
            asked,
            ring0,
        )?)
    }

    fn of_built_in(
        kernel: &guest_images::Kernel,
        boot: &GuestBoot,
        asked: Asked,
        ring0: Ring0,
    ) -> Result<Self, launch::Error> {
        let path = kernel.vmlinux();
        check_kernel(&path)?;
        let digest = kernel.digest()?;
        let kernel = (path, Backing::Mapped);
        Ok(Self::of(kernel, digest, boot, asked, ring0)?)
    }

    fn of(
        (kernel, backing): (PathBuf, Backing),
        kernel_digest: Digest,
        boot: &GuestBoot,
        asked: Asked,
        ring0: Ring0,
    ) -> Result<Self, Error> {
        let voice = match (&boot.initrd, monitor::is_verbose()) {
            (Some(_), _) => Voice::Console,
            (None, true) => Voice::Verbose,
            (None, false) => Voice::Quiet,
        };
        let added = boot.parameters.as_ref();
        Ok(Self {
            initrd: boot.initrd.clone(),
            kernel,
            backing,
            kernel_digest,
            memory: asked.memory,
            vcpus: asked.vcpus,
            disks: asked.disks,
            ring0,
            host: HostIdentity::of_host(ring0),
            command_line: builder::command_line(ring0, voice, asked.disks, added)?,
        })
    }

    pub(super) fn size(&self) -> Size {
        Size {
            memory_bytes: self.memory.bytes(),
            vcpus: self.vcpus,
        }
    }

    /// What its snapshots say of it if it has neither a network interface nor a terminal, and
    /// may use all of the host's processors. When they
    /// are made is not known yet.
    pub(super) fn facts(&self, label: &str) -> MachineFacts {
        MachineFacts {
            vcpus: self.vcpus.get().into(),
            kernel: self.kernel_digest.clone(),
            init: initramfs_digest(),
            command_line: self.command_line.to_string_lossy().into_owned(),
            jaula_version: VERSION.to_owned(),
            saved_at_unix_seconds: 0,
            label: label.to_owned(),
            network: None,
            cpus: None,
            cpuset: None,
            has_terminal: false,
        }
    }
}

/// Of this jaula.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A file that is no kernel is found out here, rather than by a monitor.
pub(super) fn check_kernel(path: &Path) -> Result<(), Error> {
    let unusable = |source| Error::Kernel {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(|error| unusable(error.into()))?;
    Kernel::parse(file).map(drop).map_err(unusable)
}

fn digest_of(kernel: &Path) -> Result<Digest, Error> {
    const BUFFER_BYTES: usize = 64 << 10;
    let hash = || -> io::Result<Digest> {
        let mut file = File::open(kernel)?;
        let mut digest = Sha256::new();
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(Digest::from_bytes(&digest.finalize())),
                bytes => digest.update(&buffer[..bytes]),
            }
        }
    };
    hash().map_err(|error| Error::Kernel {
        path: kernel.to_owned(),
        source: error.into(),
    })
}
