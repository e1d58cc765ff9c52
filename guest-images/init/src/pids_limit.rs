use std::fs::{self, File};
use std::io;
use std::path::Path;

use launch::PidsLimit;
use rustix::fs::{Mode, mkdir};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};

use crate::fatal::Fatal;

/// Where PID 1 mounts the cgroups of the guest.
const CGROUPS: &str = "/cgroups";

/// The cgroup of the command.
pub(crate) struct Cgroup {
    /// Takes the processes that enter: `cgroup.procs`.
    procs: File,
}

impl Cgroup {
    /// Makes a cgroup in which there can be this many processes and threads at once.
    pub(crate) fn limited_to(limit: PidsLimit) -> Result<Self, Fatal> {
        let mounted = || -> Result<(), Errno> {
            mkdir(CGROUPS, Mode::RWXU)?;
            mount("cgroup2", CGROUPS, "cgroup2", MountFlags::empty(), None)
        };
        mounted().map_err(Fatal::when("mounting the cgroups"))?;
        Self::make(Path::new(CGROUPS), limit).map_err(Fatal::when("limiting the number of pids"))
    }

    /// Makes it below a mounted hierarchy (`Documentation/admin-guide/cgroup-v2.rst`).
    fn make(cgroups: &Path, limit: PidsLimit) -> io::Result<Self> {
        fs::write(cgroups.join("cgroup.subtree_control"), "+pids")?;
        let own = cgroups.join("command");
        fs::create_dir(&own)?;
        fs::write(own.join("pids.max"), limit.get().to_string())?;
        let procs = File::options().write(true).open(own.join("cgroup.procs"))?;
        Ok(Self { procs })
    }

    /// Moves the calling process in. Makes one system call and nothing else.
    pub(crate) fn enter(&self) -> Result<(), Errno> {
        // 0 is whoever writes it.
        rustix::io::write(&self.procs, b"0").map(drop)
    }
}
