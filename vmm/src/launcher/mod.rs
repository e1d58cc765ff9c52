//! The launcher of machines: what `jaula` sees of this crate.
//!
//! [`VmLauncher::prepare`](launch::Launcher::prepare) finds kernel and disk image and measures
//! the host's ring 0. A launch makes the instance's directory and cgroup, starts a
//! [monitor](crate::monitor) in it, and tells it what to run.

mod blueprint;
mod bootable;
mod disks;
mod error;
mod exec;
mod guest_memory;
mod instance;
mod lent;
mod network;
mod prepared;
mod probe;
mod process;
mod resume;
mod save;
mod shares;
mod signal;
mod start_mode;
mod template;

use std::path::PathBuf;

use guest_images::{Cache, disk_of};
use host::RunDir;
use launch::{
    Chain, Command, CpuLimit, Finding, Launcher, MemoryLimit, Network, Prepared, Progress,
    Resources, Seccomp, Side, Surface, Unsupported, Workload,
};

use crate::boot::cmdline::KernelParameters;
use crate::builder;
use crate::jail::{self, Rights};
use crate::kvm;
use crate::ring0::{self, Ring0};
use crate::snapshot::{MachineFacts, NetworkFacts};
use crate::vcpu::VcpuCount;
use blueprint::{Asked, Blueprint};
use bootable::Bootable;
use error::Error;
pub use exec::{RunningVm, UserFiles};
pub use lent::LentGuest;
use prepared::{PreparedOrigin, PreparedVm, PreparedWork};
pub use resume::resume;
pub use save::save;
pub use signal::signal;
pub use start_mode::StartMode;
pub use template::{RemoveError, Template, TemplateFacts, TemplateState, Templates};

/// Which kernel guests boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuestKernel {
    /// Ours, from the cache; built if it is not there.
    BuiltIn,
    /// A file of the user's.
    File(PathBuf),
}

/// What guests boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestBoot {
    /// The kernel.
    pub kernel: GuestKernel,
    /// An initial RAM file system of the user's. Then the guest is a system of its own: it runs no
    /// command of the workload's, whose root it has as its first disk.
    pub initrd: Option<PathBuf>,
    /// What is added to the kernel's command line.
    pub parameters: Option<KernelParameters>,
}

impl From<GuestKernel> for GuestBoot {
    fn from(kernel: GuestKernel) -> Self {
        Self {
            kernel,
            initrd: None,
            parameters: None,
        }
    }
}

/// The memory of a machine where the workload does not limit it.
pub const DEFAULT_MEMORY: MemoryLimit = MemoryLimit::from_mib(128);
/// Of a machine where the workload sets no limits.
const DEFAULT_SIZE: Asked = Asked {
    memory: DEFAULT_MEMORY,
    vcpus: VcpuCount::ONE,
    disks: 0,
};
/// Our kernel and init end at 27 MiB. With this much, 13 MiB are left for a command.
const MIN_MEMORY: MemoryLimit = MemoryLimit::from_mib(32);
/// A line of a list.
const MAX_LABEL_BYTES: usize = 200;

/// Launches machines.
#[derive(Clone, Debug)]
pub struct VmLauncher {
    run_dir: PathBuf,
    cache: Cache,
    boot: GuestBoot,
    start: StartMode,
}

impl VmLauncher {
    /// A launcher that keeps what instances own in the directory `run_dir`, and takes kernel,
    /// disk images and templates from `cache`, or makes them there.
    ///
    /// The binary must be able to become a monitor: see [`crate::is_monitor`].
    pub fn new(
        run_dir: impl Into<PathBuf>,
        cache: Cache,
        boot: impl Into<GuestBoot>,
        start: StartMode,
    ) -> Self {
        Self {
            run_dir: run_dir.into(),
            cache,
            boot: boot.into(),
            start,
        }
    }

    /// Makes the template that a launch with these limits goes on from, if it is not there.
    ///
    /// # Errors
    ///
    /// When it can't be made.
    pub fn make_template(
        &self,
        memory: Option<MemoryLimit>,
        cpus: Option<CpuLimit>,
        progress: &dyn Progress,
    ) -> Result<PathBuf, launch::Error> {
        let resources = Resources {
            memory,
            cpus,
            ..Resources::default()
        };
        let blueprint = self.blueprint(&resources, 0, progress)?;
        Ok(template::find_or_make(&blueprint, &self.cache, progress)?)
    }

    fn blueprint(
        &self,
        resources: &Resources,
        disks: usize,
        progress: &dyn Progress,
    ) -> Result<Blueprint, launch::Error> {
        let asked = Asked {
            disks,
            ..size(resources)?
        };
        Blueprint::new(&self.boot, asked, host_ring0()?, &self.cache, progress)
    }

    fn origin(
        &self,
        blueprint: Blueprint,
        progress: &dyn Progress,
    ) -> Result<PreparedOrigin, Error> {
        let template = match self.start {
            StartMode::Cold => None,
            // It never waits for a workload, so it has no template.
            StartMode::Auto if blueprint.initrd.is_some() => None,
            StartMode::Warm if blueprint.initrd.is_some() => return Err(Error::OwnSystemWarm),
            StartMode::Warm => Some(template::find_or_make(&blueprint, &self.cache, progress)?),
            StartMode::Auto => match template::find(&blueprint, &self.cache) {
                Ok(found) => found,
                Err(why) => {
                    progress.note(&format!(
                        "booting, as the template is of no use: {}",
                        Chain(&why)
                    ));
                    None
                }
            },
        };
        Ok(match template {
            Some(dir) => PreparedOrigin::Restore(dir),
            None => {
                PreparedOrigin::Boot(Box::new(Bootable::new(blueprint, &self.cache, progress)?))
            }
        })
    }
}

/// Who executes a guest kernel's instructions here.
fn host_ring0() -> Result<Ring0, Error> {
    Ok(ring0::of_host(&kvm::open()?)?)
}

impl Launcher for VmLauncher {
    fn side(&self) -> Side {
        Side::Vm
    }

    fn probe(&self) -> Vec<Finding> {
        probe::findings(&self.cache, &self.boot)
    }

    fn surface(&self, workload: &Workload) -> Result<Surface, launch::Error> {
        let (shares, _) = shares::of(&workload.mounts)?;
        let disks = disks::of(&workload.devices)?;
        let rights = match shares.is_empty() {
            true => Rights::None,
            false => Rights::OverFiles,
        };
        jail::surface(rights, builder::device_count(disks.len())).map_err(launch::Error::new)
    }

    fn prepare(
        &self,
        workload: &Workload,
        progress: &dyn Progress,
    ) -> Result<Box<dyn Prepared>, launch::Error> {
        check_supported(workload)?;
        let (shares, mounts) = shares::of(&workload.mounts)?;
        // What can't be shared is told before anything takes long.
        shares.iter().try_for_each(|file| file.open().map(drop))?;
        let disks = disks::of(&workload.devices)?;
        if let Some(initrd) = &self.boot.initrd {
            bootable::check_initrd(initrd)?;
        }
        disks.iter().try_for_each(|disk| disk.open().map(drop))?;
        let blueprint = self.blueprint(&workload.resources, disks.len(), progress)?;
        let facts = MachineFacts {
            network: match workload.network {
                Network::Bridge { rate, .. } => Some(NetworkFacts { rate }),
                Network::None | Network::Host => None,
            },
            cpus: workload.resources.cpus,
            cpuset: workload.resources.cpuset.clone(),
            has_terminal: workload.terminal.is_some(),
            ..blueprint.facts(&label(&workload.command))
        };
        let disk = disk_of(&workload.root, &self.cache, progress)?;
        Ok(Box::new(PreparedVm {
            run: RunDir::at(&self.run_dir)?,
            name: workload.name.clone(),
            // Memory and processes are limited in the guest. What its processor uses, and which of
            // the host's that is, the host sees.
            host_resources: Resources {
                cpus: workload.resources.cpus,
                cpuset: workload.resources.cpuset.clone(),
                ..Resources::default()
            },
            supervised: workload.supervised,
            network: workload.network.clone(),
            ring0: blueprint.ring0,
            host: blueprint.host.clone(),
            facts,
            origin: self.origin(blueprint, progress)?,
            disk,
            shares,
            disks,
            work: match self.boot.initrd {
                Some(_) => PreparedWork::Own,
                None => PreparedWork::New(Box::new(Workload {
                    mounts,
                    ..workload.clone()
                })),
            },
        }))
    }
}

/// What can't be honoured is refused by its flag.
fn check_supported(workload: &Workload) -> Result<(), Unsupported> {
    let Resources {
        memory: _,
        memory_swap,
        cpus: _,
        cpuset: _,
        pids: _,
    } = &workload.resources;
    // One that refuses nothing, or no more than is usual, is as good as none in a machine.
    let has_profile = matches!(workload.security.seccomp, Seccomp::Profile(_));
    let is_hosts = workload.network == Network::Host;
    let asked = [
        memory_swap.is_some().then_some("--memory-swap"),
        is_hosts.then_some("--network host"),
        has_profile.then_some("--security-opt seccomp=FILE"),
    ];
    let side = Side::Vm;
    match asked.into_iter().flatten().next() {
        Some(flag) => Err(Unsupported { flag, side }),
        None => Ok(()),
    }
}

/// What a snapshot of a machine with this command is called.
fn label(command: &Command) -> String {
    let words: Vec<_> = command
        .argv()
        .iter()
        .map(|word| word.to_string_lossy())
        .collect();
    let mut label = words.join(" ");
    label.truncate(label.floor_char_boundary(MAX_LABEL_BYTES));
    label
}

/// The machine's size, if the workload's limits are such that a machine can keep them.
///
/// It has a processor for each CPU of `--cpus`, and for a part of one: no more would ever run at
/// once.
fn size(resources: &Resources) -> Result<Asked, launch::Error> {
    host::capacity::check_resources(resources)
        .map_err(|error| launch::Error::new(error).with_remedy("ask for less"))?;
    let vcpus = match resources.cpus {
        Some(cpus) => VcpuCount::new(cpus.rounded_up() as usize).map_err(|_| Error::Cpus(cpus))?,
        None => DEFAULT_SIZE.vcpus,
    };
    let memory = resources.memory.unwrap_or(DEFAULT_SIZE.memory);
    if memory < MIN_MEMORY {
        return Err(Error::Memory(memory).into());
    }
    Ok(Asked {
        memory,
        vcpus,
        disks: 0,
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::path::Path;

    use launch::{
        MemorySwap, Mount, MountPoint, MountSource, Port, Protocol, PublishedPort, WindowSize,
    };

    use super::*;

    fn asked(memory: Option<&str>, cpus: Option<&str>) -> Result<Asked, launch::Error> {
        size(&Resources {
            memory: memory.map(|limit| limit.parse().unwrap()),
            cpus: cpus.map(|limit| limit.parse().unwrap()),
            ..Resources::default()
        })
    }

    #[test]
    fn a_limit_that_a_machine_cant_keep_is_an_error_that_says_what_to_do() {
        for (memory, cpus) in [(Some("6m"), None), (Some("1t"), None), (None, Some("4000"))] {
            let error = asked(memory, cpus).unwrap_err();
            assert!(error.remedy().is_some(), "{error}");
        }
    }

    #[test]
    fn what_a_machine_can_not_have_is_refused_by_its_flag() {
        let mount = |source| Mount {
            source,
            target: MountPoint::new(b"/m").unwrap(),
            read_only: false,
        };
        let port = PublishedPort {
            host_address: Ipv4Addr::LOCALHOST.into(),
            host_ports: None,
            port: Port {
                number: 80,
                protocol: Protocol::Tcp,
            },
        };
        type Ask<'a> = &'a dyn Fn(&mut Workload);
        let cases: [(Ask<'_>, Option<&str>); 9] = [
            (&|_| (), None),
            (
                &|it| it.resources.memory_swap = Some(MemorySwap::Unlimited),
                Some("--memory-swap"),
            ),
            (
                &|it| it.mounts = vec![mount(MountSource::Bind("/srv".into()))],
                None,
            ),
            (&|it| it.mounts = vec![mount(MountSource::Anonymous)], None),
            (&|it| it.network = Network::Host, Some("--network host")),
            (
                &|it| {
                    it.network = Network::Bridge {
                        publish: vec![port],
                        rate: None,
                    }
                },
                None,
            ),
            (
                &|it| it.security.seccomp = Seccomp::Profile("{}".into()),
                Some("--security-opt seccomp=FILE"),
            ),
            (&|it| it.init = true, None),
            (
                &|it| {
                    it.terminal = Some(WindowSize {
                        rows: 24,
                        columns: 80,
                    });
                },
                None,
            ),
        ];
        for (ask, flag) in cases {
            let mut workload = launch::fake::workload();
            ask(&mut workload);
            let refused = check_supported(&workload).err().map(|refused| refused.flag);
            assert_eq!(refused, flag);
        }
    }

    #[test]
    fn without_a_limit_there_is_a_default() {
        assert_eq!(asked(None, None).unwrap(), DEFAULT_SIZE);
        let memory = asked(Some("64m"), None).unwrap().memory;
        assert_eq!(memory, MemoryLimit::from_mib(64));
    }

    #[test]
    fn there_is_a_processor_for_each_cpu_and_for_a_part_of_one() {
        for (cpus, vcpus) in [("0.5", 1), ("1", 1)] {
            assert_eq!(asked(None, Some(cpus)).unwrap().vcpus.get(), vcpus);
        }
        // Most machines that tests run on have two.
        if host::capacity::online_cpus().unwrap() >= 2 {
            for (cpus, vcpus) in [("1.01", 2), ("2", 2)] {
                assert_eq!(asked(None, Some(cpus)).unwrap().vcpus.get(), vcpus);
            }
        }
    }

    #[test]
    fn a_kernel_that_is_none_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = blueprint::check_kernel(file.path()).unwrap_err();
        assert!(error.to_string().contains(file.path().to_str().unwrap()));
        assert!(blueprint::check_kernel(Path::new("/nonexistent")).is_err());
        assert!(blueprint::check_kernel(Path::new("/")).is_err());
    }
}
