//! A machine of which all is known that it takes to boot it.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use guest_images::{Cache, initramfs};
use launch::Progress;

use super::blueprint::Blueprint;
use super::error::Error;
use crate::boot::Backing;
use crate::kvm;
use crate::monitor::{BootFile, BootFrom};
use crate::vcpu::HostCpuid;

/// What it boots from.
pub(super) struct Bootable {
    blueprint: Blueprint,
    initrd: PathBuf,
    cpuid: HostCpuid,
}

impl Bootable {
    /// Finds, or makes, what is missing.
    pub(super) fn new(
        blueprint: Blueprint,
        cache: &Cache,
        progress: &dyn Progress,
    ) -> Result<Self, Error> {
        Ok(Self {
            blueprint,
            initrd: initramfs(cache, progress)?,
            cpuid: HostCpuid::of(&kvm::open()?)?,
        })
    }

    pub(super) fn blueprint(&self) -> &Blueprint {
        &self.blueprint
    }

    /// Opens its files anew: whoever reads them moves their positions.
    pub(super) fn open(&self) -> Result<BootFrom<OwnedFd>, Error> {
        let kernel = &self.blueprint.kernel;
        Ok(BootFrom {
            kernel: BootFile {
                image: open(kernel, |source| Error::Kernel {
                    path: kernel.clone(),
                    source: source.into(),
                })?,
                backing: self.blueprint.backing,
            },
            initrd: BootFile {
                image: open(&self.initrd, |source| Error::Initrd {
                    path: self.initrd.clone(),
                    source,
                })?,
                backing: Backing::Mapped,
            },
            size: self.blueprint.size(),
            cpuid: self.cpuid.clone(),
        })
    }
}

fn open(path: &Path, error: impl FnOnce(std::io::Error) -> Error) -> Result<OwnedFd, Error> {
    File::open(path).map(OwnedFd::from).map_err(error)
}
