use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use host::RunDir;
use host::cgroup::Extras;
use launch::{Instance, InstanceId, MonotonicNs, Prepared, Resources, Stdio};

use super::blueprint::Blueprint;
use super::error::Error;
use super::instance::VmInstance;
use super::process::MonitorProcess;
use super::save;
use super::shares::HostFile;
use crate::monitor::{Assignment, Job, Origin, Run, Work};
use crate::ring0::Ring0;
use crate::snapshot::{HostIdentity, MachineFacts};

/// A workload with all that a machine for it needs.
pub(super) struct PreparedVm {
    pub(super) run: RunDir,
    pub(super) name: Option<InstanceId>,
    pub(super) host_resources: Resources,
    pub(super) supervised: bool,
    pub(super) ring0: Ring0,
    pub(super) host: HostIdentity,
    pub(super) facts: MachineFacts,
    pub(super) origin: PreparedOrigin,
    pub(super) disk: PathBuf,
    pub(super) shares: Vec<HostFile>,
    pub(super) work: Work,
}

/// What the machine starts from.
pub(super) enum PreparedOrigin {
    /// It boots.
    Boot(Blueprint),
    /// It goes on from the snapshot in this directory.
    Restore(PathBuf),
}

impl Prepared for PreparedVm {
    fn launch(&self, stdio: Stdio) -> Result<Box<dyn Instance>, launch::Error> {
        let start = MonotonicNs::now();
        let dir = self.run.create(self.name.as_ref())?;
        let extras = Extras {
            statistics: self.supervised,
            freezer: self.supervised,
            devices: None,
        };
        let placement = dir.make_cgroup(&self.host_resources, &extras)?;
        let cgroup_made = MonotonicNs::now();
        let requests = save::listen(dir.path())?;
        // The command's streams are the monitor's alone from there on: their ends must be seen.
        let assignment = self.assignment(stdio, requests)?;
        let monitor = MonitorProcess::spawn(placement.cgroup(), assignment)?;
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
    fn assignment(&self, stdio: Stdio, requests: OwnedFd) -> Result<Assignment<OwnedFd>, Error> {
        let disk = File::open(&self.disk).map_err(|source| Error::Disk {
            path: self.disk.clone(),
            source,
        })?;
        Ok(Assignment {
            launcher: nix::unistd::getpid().as_raw(),
            ring0: self.ring0,
            host: self.host.clone(),
            facts: self.facts.clone(),
            job: Job::Run(Run {
                origin: match &self.origin {
                    PreparedOrigin::Boot(blueprint) => Origin::Boot {
                        kernel: blueprint.open_kernel()?,
                        memory_bytes: blueprint.memory.bytes(),
                    },
                    PreparedOrigin::Restore(dir) => Origin::Restore(dir.clone()),
                },
                work: self.work.clone(),
                disk: disk.into(),
                shares: self
                    .shares
                    .iter()
                    .map(HostFile::open)
                    .collect::<Result<_, _>>()?,
                stdin: stdio.stdin,
                stdout: stdio.stdout,
                stderr: stdio.stderr,
                requests,
            }),
        })
    }
}
