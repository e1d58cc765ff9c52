use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use entry::{DeviceNode, Entry, Filter, INIT_NAME, Privileges, Spec, Stage};
use host::cgroup::Extras;
use host::{Placement, RunDir};
use launch::{
    DiskFiles, Finding, Instance, Launcher, MonotonicNs, Prepared, Progress, Security, Side, Stdio,
    Surface, Unsupported, Workload,
};

use crate::capabilities;
use crate::command::RunningCommand;
use crate::devices;
use crate::error::Error;
use crate::gate::Gate;
use crate::instance::Container;
use crate::namespaces::{Namespaces, privileges};
use crate::network::Pending;
use crate::probe;
use crate::process::{Process, Task, Way};
use crate::scratch::Scratch;
use crate::sealed::sealed;
use crate::seccomp;
use crate::surface;
use crate::terminal::Hatch;

/// Launches containers.
///
/// As root, a container has all namespaces but a user namespace. So it has for an ordinary user who
/// has entered one with many users ([`host::user_namespace`]). For any other it has that too, and
/// the command's user is the caller, under whatever number it was given.
///
/// A container ends with the thread that launched it, so that it does not outlive a launcher
/// that was killed: launch from a thread that lives as long as the instance is to.
#[derive(Clone, Debug)]
pub struct ContainerLauncher {
    run_dir: PathBuf,
    init: Option<&'static [u8]>,
}

impl ContainerLauncher {
    /// A launcher that keeps what instances own in the directory `run_dir`, which is
    /// [`host::paths::run_dir`] unless there is a reason.
    pub fn new(run_dir: impl Into<PathBuf>) -> Self {
        Self {
            run_dir: run_dir.into(),
            init: None,
        }
    }

    /// That groups can be added to those of the command's user. Where they can't, the command goes
    /// without those that the image has its user in, too, and that is noted.
    ///
    /// # Errors
    ///
    /// When the caller has no group but its own.
    pub fn check_groups(&self) -> Result<(), Error> {
        match privileges().has_many_ids() {
            true => Ok(()),
            false => Err(Error::Groups),
        }
    }

    /// With a static program for workloads that want an init, which are refused without it. It
    /// does what is asked of it when it is called [`entry::INIT_NAME`].
    #[must_use]
    pub fn with_init(self, program: &'static [u8]) -> Self {
        Self {
            init: Some(program),
            ..self
        }
    }

    /// The init of a workload, if it wants one.
    fn init(&self, workload: &Workload) -> Result<Option<OwnedFd>, launch::Error> {
        if !workload.init {
            return Ok(None);
        }
        let program = self.init.ok_or(Unsupported {
            flag: "--init",
            side: Side::Container,
        })?;
        // What the command could write to would be executed in the next container, as root
        // (CVE-2019-5736).
        Ok(Some(sealed(INIT_NAME, program).map_err(Error::Init)?))
    }
}

impl Launcher for ContainerLauncher {
    fn side(&self) -> Side {
        Side::Container
    }

    fn probe(&self) -> Vec<Finding> {
        probe::findings()
    }

    fn surface(&self, workload: &Workload) -> Result<Surface, launch::Error> {
        surface::of(workload).map_err(launch::Error::new)
    }

    fn prepare(
        &self,
        workload: &Workload,
        progress: &dyn Progress,
    ) -> Result<Box<dyn Prepared>, launch::Error> {
        host::capacity::check_resources(&workload.resources)
            .map_err(|error| launch::Error::new(error).with_remedy("ask for less"))?;
        workload.root.layers.iter().try_for_each(check_root)?;
        let privileges = privileges();
        if !privileges.has_many_ids() && !workload.command.credentials().groups.is_empty() {
            progress.note("the command has none of the groups that its user is in: there is none here but yours (see jaula doctor)");
        }
        let security = Security {
            capabilities: capabilities::given(workload.security.capabilities, privileges)?,
            ..workload.security.clone()
        };
        Ok(Box::new(PreparedContainer {
            run: RunDir::at(&self.run_dir)?,
            init: self.init(workload)?,
            devices: devices::find(&workload.devices)?,
            filter: seccomp::filter(&security.seccomp, security.capabilities)
                .map_err(Error::from)?,
            workload: Workload {
                security,
                ..workload.clone()
            },
            privileges,
        }))
    }
}

/// The image is a directory, and the caller may look into it.
fn check_root(dir: &Path) -> Result<(), Error> {
    fs::read_dir(dir).map(drop).map_err(|source| Error::RootFs {
        dir: dir.to_owned(),
        source,
    })
}

struct PreparedContainer {
    run: RunDir,
    workload: Workload,
    init: Option<OwnedFd>,
    devices: Vec<DeviceNode>,
    filter: Option<Filter>,
    privileges: Privileges,
}

impl Prepared for PreparedContainer {
    fn disk_files(&self) -> DiskFiles {
        DiskFiles::of_layers(&self.workload.root.layers)
    }

    fn launch(&self, stdio: Stdio) -> Result<Box<dyn Instance>, launch::Error> {
        let start = MonotonicNs::now();
        let Workload {
            name,
            root,
            command,
            hostname,
            resources,
            security,
            mounts,
            ulimits,
            network,
            supervised,
            terminal,
            ..
        } = &self.workload;
        let pending = Pending::begin(network, self.privileges, security.capabilities)?;
        let dir = self.run.create(name.as_ref())?;
        let extras = Extras {
            devices: devices::rules(&self.devices, security.capabilities, self.privileges),
            freezer: *supervised,
            statistics: *supervised,
        };
        let placement = dir.make_cgroup(resources, &extras)?;
        let cgroup_made = MonotonicNs::now();
        let mut connected = pending.finish(&dir)?;
        let network_made = connected.is_made_by_launcher().then(MonotonicNs::now);
        let files = connected.files(&self.workload)?;
        let scratch = Scratch::new(dir.path(), root.layers.top(), self.privileges)?;
        // The child has a copy of the descriptor.
        let path = |program: &OwnedFd| format!("/proc/self/fd/{}", program.as_raw_fd());
        let init = self.init.as_ref().map(path).map(PathBuf::from);
        let entry = Entry::new(&Spec {
            lower: &root.layers,
            upper: scratch.upper(),
            work: scratch.work(),
            read_only: root.read_only,
            hostname,
            files: &files,
            mounts,
            devices: &self.devices,
            command,
            init: init.as_deref(),
            ulimits,
            security,
            filter: self.filter.as_ref(),
            privileges: self.privileges,
        })
        .map_err(Error::from)?;
        let stage = Stage::new(
            scratch.dir(),
            self.privileges,
            connected.sysfs(self.privileges),
        )
        .map_err(Error::from)?;
        let task = Task {
            namespaces: Namespaces::new(
                self.privileges,
                command.credentials(),
                connected.namespace()?,
            ),
            way: way(&placement)?,
            scratch,
            stage,
            entry,
            stdio,
            hatch: terminal.map(Hatch::new).transpose()?,
            gate: connected
                .is_incomplete()
                .then(Gate::new)
                .transpose()
                .map_err(Error::Report)?,
        };
        let process = Process::spawn(&task, |pid| connected.complete(pid, &dir, &placement))
            .map_err(|error| error.naming(&self.workload))?;
        let Task { stdio, hatch, .. } = task;
        Ok(Box::new(Container {
            command: RunningCommand::connect(process, hatch, stdio)?,
            network: connected,
            placement,
            dir,
            start,
            cgroup_made,
            network_made,
        }))
    }
}

/// The cheapest way into the cgroup that there is.
fn way(placement: &Placement) -> Result<Way<'_>, host::cgroup::Error> {
    let Some(cgroup) = placement.cgroup() else {
        return Ok(Way::Stay);
    };
    match cgroup.clone_target() {
        Some(target) => Ok(Way::Clone(target)),
        None => cgroup.entrance().map(Way::Enter),
    }
}
