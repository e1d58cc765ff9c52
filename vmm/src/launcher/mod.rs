//! The launcher of machines: what `jaula` sees of this crate.
//!
//! [`VmLauncher::prepare`](launch::Launcher::prepare) finds kernel and disk image and measures
//! the host's ring 0. A launch makes the instance's directory and cgroup, starts a
//! [monitor](crate::monitor) in it, and tells it what to run.

mod error;
mod instance;
mod prepared;
mod probe;
mod process;

use std::fs::File;
use std::path::{Path, PathBuf};

use guest_images::{Cache, disk_of};
use guest_protocol::Task;
use host::RunDir;
use launch::{Finding, Launcher, MemoryLimit, Prepared, Progress, Resources, Side, Workload};

use crate::boot::kernel::{Backing, Kernel};
use crate::kvm;
use crate::ring0;
use error::Error;
use prepared::PreparedVm;

/// Which kernel guests boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuestKernel {
    /// Ours, from the cache; built if it is not there.
    BuiltIn,
    /// A file of the user's.
    File(PathBuf),
}

/// A guest's memory where the workload sets no limit.
const DEFAULT_MEMORY: MemoryLimit = MemoryLimit::from_mib(128);
/// Our kernel and init end at 27 MiB. With this much, 13 MiB are left for a command.
const MIN_MEMORY: MemoryLimit = MemoryLimit::from_mib(32);
/// One CPU, in thousandths.
const MAX_MILLI_CPUS: u32 = 1000;

/// Launches machines.
#[derive(Clone, Debug)]
pub struct VmLauncher {
    run_dir: PathBuf,
    cache: Cache,
    kernel: GuestKernel,
}

impl VmLauncher {
    /// A launcher that keeps what instances own in the directory `run_dir`, and takes kernel and
    /// disk images from `cache`, or makes them there.
    ///
    /// The binary must be able to become a monitor: see [`crate::is_monitor`].
    pub fn new(run_dir: impl Into<PathBuf>, cache: Cache, kernel: GuestKernel) -> Self {
        Self {
            run_dir: run_dir.into(),
            cache,
            kernel,
        }
    }

    /// The kernel's file, and whether it is ours and never changes.
    fn kernel(&self, progress: &dyn Progress) -> Result<(PathBuf, Backing), launch::Error> {
        match &self.kernel {
            GuestKernel::File(path) => Ok((path.clone(), Backing::Copied)),
            GuestKernel::BuiltIn => {
                let kernel = guest_images::Kernel::find_or_build(&self.cache, progress)?;
                Ok((kernel.vmlinux(), Backing::Mapped))
            }
        }
    }
}

impl Launcher for VmLauncher {
    fn side(&self) -> Side {
        Side::Vm
    }

    fn probe(&self) -> Vec<Finding> {
        probe::findings(&self.cache, &self.kernel)
    }

    fn prepare(
        &self,
        workload: &Workload,
        progress: &dyn Progress,
    ) -> Result<Box<dyn Prepared>, launch::Error> {
        let memory = memory(&workload.resources)?;
        let kvm = kvm::open().map_err(Error::from)?;
        let ring0 = ring0::of_host(&kvm).map_err(Error::from)?;
        let (kernel, backing) = self.kernel(progress)?;
        check_kernel(&kernel)?;
        let disk = disk_of(&workload.root, &self.cache, progress)?;
        Ok(Box::new(PreparedVm {
            run: RunDir::at(&self.run_dir)?,
            name: workload.name.clone(),
            // Memory and processes are limited in the guest. What its processor uses, the host
            // sees.
            host_resources: Resources {
                cpus: workload.resources.cpus,
                ..Resources::default()
            },
            memory,
            ring0,
            kernel,
            backing,
            disk,
            task: Task {
                command: workload.command.clone(),
                hostname: workload.hostname.clone(),
                read_only: workload.root.read_only,
                pids: workload.resources.pids,
            },
        }))
    }
}

/// The guest's memory, if the workload's limits are such that a machine can keep them.
fn memory(resources: &Resources) -> Result<MemoryLimit, launch::Error> {
    host::capacity::check_resources(resources)
        .map_err(|error| launch::Error::new(error).with_remedy("ask for less"))?;
    if let Some(cpus) = resources.cpus
        && cpus.milli_cpus() > MAX_MILLI_CPUS
    {
        return Err(Error::Cpus(cpus).into());
    }
    let memory = resources.memory.unwrap_or(DEFAULT_MEMORY);
    if memory < MIN_MEMORY {
        return Err(Error::Memory(memory).into());
    }
    Ok(memory)
}

/// A file that is no kernel is found out here, rather than by a monitor.
fn check_kernel(path: &Path) -> Result<(), Error> {
    let unusable = |source| Error::Kernel {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(|error| unusable(error.into()))?;
    Kernel::parse(file).map(drop).map_err(unusable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(memory: Option<&str>, cpus: Option<&str>) -> Result<MemoryLimit, launch::Error> {
        super::memory(&Resources {
            memory: memory.map(|limit| limit.parse().unwrap()),
            cpus: cpus.map(|limit| limit.parse().unwrap()),
            pids: None,
        })
    }

    #[test]
    fn a_limit_that_a_machine_cant_keep_is_an_error_that_says_what_to_do() {
        for (memory, cpus) in [(Some("6m"), None), (Some("1t"), None), (None, Some("2"))] {
            let error = asked(memory, cpus).unwrap_err();
            assert!(error.remedy().is_some(), "{error}");
        }
    }

    #[test]
    fn without_a_limit_there_is_a_default() {
        assert_eq!(asked(None, Some("0.5")).unwrap(), DEFAULT_MEMORY);
        assert_eq!(asked(Some("64m"), None).unwrap(), MemoryLimit::from_mib(64));
    }

    #[test]
    fn a_kernel_that_is_none_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = check_kernel(file.path()).unwrap_err();
        assert!(error.to_string().contains(file.path().to_str().unwrap()));
        assert!(check_kernel(Path::new("/nonexistent")).is_err());
        assert!(check_kernel(Path::new("/")).is_err());
    }
}
