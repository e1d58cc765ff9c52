use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use entry::NameFiles;
use guest_protocol::Task;
use host::RunDir;
use host::cgroup::Extras;
use launch::{
    DiskFiles, Instance, InstanceId, MonotonicNs, Network, Prepared, Resources, Stdio, Workload,
};

use super::bootable::Bootable;
use super::disks::HostDisk;
use super::error::Error;
use super::instance::VmInstance;
use super::network::{self, Wanted};
use super::process::MonitorProcess;
use super::save;
use super::shares::HostFile;
use crate::monitor::{Assignment, Job, NetworkLink, Origin, Run, Work};
use crate::ring0::Ring0;
use crate::snapshot::{HostIdentity, MachineFacts};

/// A workload with all that a machine for it needs.
pub(super) struct PreparedVm {
    pub(super) run: RunDir,
    pub(super) name: Option<InstanceId>,
    pub(super) host_resources: Resources,
    pub(super) supervised: bool,
    pub(super) network: Network,
    pub(super) ring0: Ring0,
    pub(super) host: HostIdentity,
    pub(super) facts: MachineFacts,
    pub(super) origin: PreparedOrigin,
    pub(super) disk: PathBuf,
    pub(super) shares: Vec<HostFile>,
    pub(super) disks: Vec<HostDisk>,
    pub(super) work: PreparedWork,
}

/// What the machine runs.
pub(super) enum PreparedWork {
    /// The command of this workload.
    New(Box<Workload>),
    /// What it ran when it was saved.
    Running,
    /// A system of its own.
    Own,
}

/// What the machine starts from.
pub(super) enum PreparedOrigin {
    /// It boots.
    Boot(Box<Bootable>),
    /// It goes on from the snapshot in this directory.
    Restore(PathBuf),
}

impl Prepared for PreparedVm {
    fn disk_files(&self) -> DiskFiles {
        let (fixed, template) = match &self.origin {
            PreparedOrigin::Boot(bootable) => (bootable.files(), None),
            PreparedOrigin::Restore(dir) => (Vec::new(), Some(dir.clone())),
        };
        DiskFiles {
            image: vec![self.disk.clone()],
            fixed,
            template,
        }
    }

    fn launch(&self, stdio: Stdio) -> Result<Box<dyn Instance>, launch::Error> {
        let start = MonotonicNs::now();
        let wanted = Wanted::take(&self.network)?;
        let dir = self.run.create(self.name.as_ref())?;
        let extras = Extras {
            statistics: self.supervised,
            freezer: self.supervised,
            devices: None,
        };
        let placement = dir.make_cgroup(&self.host_resources, &extras)?;
        let cgroup_made = MonotonicNs::now();
        let connected = wanted.connect(&dir, &placement)?;
        let network_made = connected.is_some().then(MonotonicNs::now);
        let work = match &self.work {
            PreparedWork::New(workload) => {
                let files = network::files(connected.as_ref(), workload)?;
                Work::New(Box::new(task(workload, &self.disks, files)))
            }
            PreparedWork::Running => Work::Running,
            PreparedWork::Own => Work::Own,
        };
        let rate = self.network.rate();
        let link = connected.as_ref().map(|it| it.link(rate)).transpose()?;
        let requests = save::listen(dir.path())?;
        // The command's streams are the monitor's alone from there on: their ends must be seen.
        let assignment = self.assignment(work, link, stdio, requests)?;
        let monitor = MonitorProcess::spawn(placement.cgroup(), assignment)?;
        let instance = VmInstance {
            monitor,
            network: connected,
            placement,
            dir,
            start,
            cgroup_made,
            network_made,
        };
        instance.monitor.wait_built()?;
        Ok(Box::new(instance))
    }
}

impl PreparedVm {
    fn assignment(
        &self,
        work: Work,
        network: Option<NetworkLink<OwnedFd>>,
        stdio: Stdio,
        requests: OwnedFd,
    ) -> Result<Assignment<OwnedFd>, Error> {
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
                    PreparedOrigin::Boot(bootable) => Origin::Boot(Box::new(bootable.open()?)),
                    PreparedOrigin::Restore(dir) => Origin::Restore(dir.clone()),
                },
                work,
                disk: disk.into(),
                shares: self
                    .shares
                    .iter()
                    .map(HostFile::open)
                    .collect::<Result<_, _>>()?,
                disks: self
                    .disks
                    .iter()
                    .map(HostDisk::open)
                    .collect::<Result<_, _>>()?,
                network,
                stdin: stdio.stdin,
                stdout: stdio.stdout,
                stderr: stdio.stderr,
                requests,
            }),
        })
    }
}

/// What PID 1 is told to run.
pub(super) fn task(workload: &Workload, disks: &[HostDisk], files: NameFiles) -> Task {
    Task {
        command: workload.command.clone(),
        hostname: workload.hostname.clone(),
        files,
        mounts: workload.mounts.clone(),
        disks: disks.iter().map(HostDisk::told).collect(),
        terminal: workload.terminal,
        init: workload.init,
        ulimits: workload.ulimits.clone(),
        read_only: workload.root.read_only,
        pids: workload.resources.pids,
        security: workload.security.clone(),
    }
}
