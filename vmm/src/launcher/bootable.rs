//! A machine of which all is known that it takes to boot it.

use std::fs::File;
use std::io;
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
    initrd: (PathBuf, Backing),
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
            initrd: match blueprint.initrd.clone() {
                Some(path) => (path, Backing::Copied),
                None => (initramfs(cache, progress)?, Backing::Mapped),
            },
            blueprint,
            cpuid: HostCpuid::of(&kvm::open()?)?,
        })
    }

    /// What it boots from, on disk.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        vec![self.blueprint.kernel.clone(), self.initrd.0.clone()]
    }

    pub(super) fn blueprint(&self) -> &Blueprint {
        &self.blueprint
    }

    /// Opens its files anew: whoever reads them moves their positions.
    pub(super) fn open(&self) -> Result<BootFrom<OwnedFd>, Error> {
        let kernel = &self.blueprint.kernel;
        let (initrd, initrd_backing) = &self.initrd;
        Ok(BootFrom {
            kernel: BootFile {
                image: open(kernel, |source| Error::Kernel {
                    path: kernel.clone(),
                    source: source.into(),
                })?,
                backing: self.blueprint.backing,
            },
            initrd: BootFile {
                image: open(initrd, |source| Error::Initrd {
                    path: initrd.clone(),
                    source,
                })?,
                backing: *initrd_backing,
            },
            size: self.blueprint.size(),
            command_line: self.blueprint.command_line.clone(),
            cpuid: self.cpuid.clone(),
        })
    }
}

fn open(path: &Path, error: impl FnOnce(io::Error) -> Error) -> Result<OwnedFd, Error> {
    File::open(path).map(OwnedFd::from).map_err(error)
}

/// A file that is none is found out here, rather than by a monitor.
pub(super) fn check_initrd(path: &Path) -> Result<(), Error> {
    let unusable = |source| Error::Initrd {
        path: path.to_owned(),
        source,
    };
    let metadata = File::open(path)
        .and_then(|file| file.metadata())
        .map_err(unusable)?;
    match metadata.is_file() && metadata.len() > 0 {
        true => Ok(()),
        false => Err(unusable(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is empty, or no regular file",
        ))),
    }
}
