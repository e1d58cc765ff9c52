use std::fs::File;
use std::path::PathBuf;

use guest_protocol::Task;
use host::RunDir;
use launch::{Instance, InstanceId, MemoryLimit, MonotonicNs, Prepared, Resources, Stdio};

use super::error::Error;
use super::instance::VmInstance;
use super::process::MonitorProcess;
use crate::boot::kernel::Backing;
use crate::monitor::{Config, Descriptors};
use crate::ring0::Ring0;

/// A workload with all that a machine for it needs.
pub(super) struct PreparedVm {
    pub(super) run: RunDir,
    pub(super) name: Option<InstanceId>,
    pub(super) host_resources: Resources,
    pub(super) memory: MemoryLimit,
    pub(super) ring0: Ring0,
    pub(super) kernel: PathBuf,
    pub(super) backing: Backing,
    pub(super) disk: PathBuf,
    pub(super) task: Task,
}

impl Prepared for PreparedVm {
    fn launch(&self, stdio: Stdio) -> Result<Box<dyn Instance>, launch::Error> {
        let start = MonotonicNs::now();
        let dir = self.run.create(self.name.as_ref())?;
        let placement = dir.make_cgroup(&self.host_resources)?;
        let cgroup_made = MonotonicNs::now();
        let config = Config {
            launcher: nix::unistd::getpid().as_raw(),
            memory_bytes: self.memory.bytes(),
            ring0: self.ring0,
            backing: self.backing,
            task: self.task.clone(),
        };
        let descriptors = self.open(stdio)?;
        let monitor = MonitorProcess::spawn(placement.cgroup(), &config, &descriptors)?;
        // The command's streams are the monitor's alone from here on: their ends must be seen.
        drop(descriptors);
        let instance = VmInstance {
            monitor,
            placement,
            dir,
            start,
            cgroup_made,
        };
        instance.monitor.wait_built()?;
        Ok(Box::new(instance))
    }
}

impl PreparedVm {
    /// Opens anew: the monitor moves the kernel's file position.
    fn open(&self, stdio: Stdio) -> Result<Descriptors, Error> {
        let kernel = File::open(&self.kernel).map_err(|error| Error::Kernel {
            path: self.kernel.clone(),
            source: error.into(),
        })?;
        let disk = File::open(&self.disk).map_err(|source| Error::Disk {
            path: self.disk.clone(),
            source,
        })?;
        Ok(Descriptors {
            kernel,
            disk,
            stdio,
        })
    }
}
