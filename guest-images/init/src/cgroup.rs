use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use entry::{Failure, Step};
use launch::PidsLimit;
use rustix::fs::{Mode, mkdir};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::fatal::Fatal;

/// Where PID 1 mounts the cgroups of the guest.
const CGROUPS: &str = "/cgroups";

/// The command's, below that.
const COMMAND: &str = "command";

/// The cgroup of the command.
pub(crate) struct Cgroup {
    /// Takes how many processes and threads there can be at once: `pids.max`.
    max: File,
}

/// The way into it, for the process that becomes the command.
pub(crate) struct Entrance {
    /// Takes the processes that enter: `cgroup.procs`.
    procs: OwnedFd,
}

impl Cgroup {
    /// Makes it, without a limit.
    pub(crate) fn make() -> Result<(Self, Entrance), Fatal> {
        let mounted = || -> Result<(), Errno> {
            mkdir(CGROUPS, Mode::RWXU)?;
            mount("cgroup2", CGROUPS, "cgroup2", MountFlags::empty(), None)
        };
        mounted().map_err(Fatal::when("mounting the cgroups"))?;
        Self::make_below(Path::new(CGROUPS)).map_err(Fatal::when("making a cgroup"))
    }

    /// Makes it below a mounted hierarchy (`Documentation/admin-guide/cgroup-v2.rst`).
    fn make_below(cgroups: &Path) -> io::Result<(Self, Entrance)> {
        fs::write(cgroups.join("cgroup.subtree_control"), "+pids")?;
        let own = cgroups.join(COMMAND);
        fs::create_dir(&own)?;
        let max = File::options().write(true).open(own.join("pids.max"))?;
        Ok((Self { max }, Entrance::open(&own)?))
    }

    /// The way into it for one more process.
    pub(crate) fn entrance(&self) -> io::Result<Entrance> {
        Entrance::open(&Path::new(CGROUPS).join(COMMAND))
    }

    /// Limits how many processes and threads there can be at once.
    pub(crate) fn limit_pids(&self, limit: PidsLimit) -> Result<(), Fatal> {
        (&self.max)
            .write_all(limit.get().to_string().as_bytes())
            .map_err(Fatal::when("limiting the number of pids"))
    }
}

impl Entrance {
    fn open(cgroup: &Path) -> io::Result<Self> {
        let procs = File::options()
            .write(true)
            .open(cgroup.join("cgroup.procs"))?;
        Ok(Self {
            procs: procs.into(),
        })
    }

    /// Moves the calling process in. Makes system calls and nothing else.
    pub(crate) fn enter(&self) -> Result<(), Failure> {
        // 0 is whoever writes it.
        rustix::io::write(&self.procs, b"0")
            .map(drop)
            .map_err(failed_at(Step::Cgroup))
    }

    /// Moves the calling process in and makes it the root of a namespace: what the command reads
    /// in `/proc/self/cgroup` is the same on any machine. Makes system calls and nothing else.
    pub(crate) fn enter_as_root(&self) -> Result<(), Failure> {
        self.enter()?;
        // SAFETY: no descriptor and no memory is unshared, only the cgroup namespace.
        unsafe { unshare_unsafe(UnshareFlags::NEWCGROUP) }.map_err(failed_at(Step::CgroupNamespace))
    }
}

/// Says at which step a system call failed.
fn failed_at(step: Step) -> impl FnOnce(Errno) -> Failure {
    move |errno| Failure {
        step,
        errno: errno.raw_os_error(),
    }
}
