use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use launch::{Footprint, Usage};
use nix::unistd::Pid;

use super::controller::Controller;
use super::entrance::Entrance;
use super::error::Error;
use super::hierarchy::{Hierarchies, Version, read_file};
use super::mountinfo::{self, CgroupMount, Kind};
use super::tree::tree;
use super::{control, freezer, remains, v1, v2};

/// What can be asked of an instance's cgroup and done to what is in it, by its owner and by
/// others. Dropping it does nothing.
///
/// [`crate::RunDir::cgroup_of`] is the way to that of another process's instance.
#[derive(Debug)]
pub struct CgroupView {
    pub(super) dirs: Vec<Dir>,
}

/// Its directory in one hierarchy.
#[derive(Debug)]
pub(super) struct Dir {
    pub version: Version,
    /// What it can limit or count.
    pub controllers: Vec<Controller>,
    pub path: PathBuf,
    /// The kernel gives no two cgroups of a hierarchy the same one.
    pub inode: u64,
}

impl Dir {
    /// Whether it is there, and not another by its name.
    pub fn is_there(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|found| found.ino() == self.inode)
    }

    /// Finds out what the directory is.
    fn find(path: PathBuf, mounts: &[CgroupMount]) -> Result<Self, Error> {
        let mount = mounts
            .iter()
            .filter(|mount| path.starts_with(&mount.mount_point))
            .max_by_key(|mount| mount.mount_point.as_os_str().len());
        let (version, controllers) = match mount.map(|mount| &mount.kind) {
            None => return Err(Error::NotMounted(path)),
            Some(Kind::V1(controllers)) => (Version::V1, controllers.clone()),
            Some(Kind::V2) => {
                let listed = control::read(&path, "cgroup.controllers")?;
                let names = listed.split_ascii_whitespace().map(str::as_bytes);
                let controllers = Version::V2.with_built_in(&Controller::listed_v2(names));
                (Version::V2, controllers)
            }
        };
        let inode = fs::metadata(&path)
            .map_err(|source| Error::Open {
                path: path.clone(),
                source,
            })?
            .ino();
        Ok(Self {
            version,
            controllers,
            path,
            inode,
        })
    }
}

impl CgroupView {
    /// The cgroup that has these directories.
    ///
    /// # Errors
    ///
    /// When one is not there, or is not mounted where it was.
    pub(crate) fn open(dirs: Vec<PathBuf>) -> Result<Self, Error> {
        let mounts = mountinfo::parse(&read_file(Path::new("/proc/self/mountinfo"))?);
        let dirs = dirs.into_iter().map(|path| Dir::find(path, &mounts));
        Ok(Self {
            dirs: dirs.collect::<Result<_, _>>()?,
        })
    }

    /// Moves a process into the cgroup, with all its threads. What it already uses stays charged
    /// to where it was.
    ///
    /// Costs milliseconds: a child that enters through [`CgroupView::entrance`], or is cloned into
    /// [`super::Cgroup::clone_target`], does not.
    ///
    /// # Errors
    ///
    /// When the process is gone, or may not be moved.
    pub fn add(&self, pid: Pid) -> Result<(), Error> {
        for dir in &self.dirs {
            control::write(&dir.path, "cgroup.procs", &pid.to_string()).map_err(|source| {
                Error::Add {
                    pid,
                    path: dir.path.clone(),
                    source,
                }
            })?;
        }
        Ok(())
    }

    /// The way in for a child process that is about to be forked.
    ///
    /// # Errors
    ///
    /// When it can't be opened.
    pub fn entrance(&self) -> Result<Entrance, Error> {
        Entrance::open(
            self.dirs
                .iter()
                .map(|dir| (dir.version, dir.path.as_path())),
        )
    }

    /// Refuses to have a process of ours join where the kernel would, with the reason, which the
    /// kernel gives nobody. For who did not make it: its maker may.
    ///
    /// # Errors
    ///
    /// When the caller may not move processes from its own cgroup to this one.
    pub fn check_joinable(&self) -> Result<(), Error> {
        let Some(dir) = self.dirs.iter().find(|dir| dir.version == Version::V2) else {
            return Ok(());
        };
        match Hierarchies::read(Path::new("/"))?.v2() {
            Some(hierarchy) => v2::check_joinable(hierarchy, &dir.path),
            None => Ok(()),
        }
    }

    /// Kills every process in it with SIGKILL; returns when none is left.
    ///
    /// # Errors
    ///
    /// When one can't be killed, or hangs in the kernel for seconds.
    pub fn kill(&self) -> Result<(), Error> {
        let dirs: Vec<_> = self
            .dirs
            .iter()
            .filter(|dir| dir.is_there())
            .map(|dir| dir.path.as_path())
            .collect();
        remains::kill(&dirs)
    }

    /// Stops every process in it; returns when all have stopped.
    ///
    /// # Errors
    ///
    /// When it was made without a freezer, which version 1 wants to be asked for
    /// ([`super::Extras::freezer`]); when a process does not stop within seconds: then all go on.
    pub fn freeze(&self) -> Result<(), Error> {
        let dir = self.of(Controller::Freezer).ok_or(Error::NoFreezer)?;
        freezer::freeze(dir.version, &dir.path)
    }

    /// Lets every process in it go on.
    ///
    /// # Errors
    ///
    /// When it was made without a freezer.
    pub fn thaw(&self) -> Result<(), Error> {
        let dir = self.of(Controller::Freezer).ok_or(Error::NoFreezer)?;
        freezer::thaw(dir.version, &dir.path)
    }

    /// Whether every process in it is stopped. One that can't be stopped is not.
    ///
    /// # Errors
    ///
    /// When that can't be read.
    pub fn is_frozen(&self) -> Result<bool, Error> {
        match self.of(Controller::Freezer) {
            Some(dir) => freezer::is_frozen(dir.version, &dir.path),
            None => Ok(false),
        }
    }

    /// What is charged to it.
    ///
    /// # Errors
    ///
    /// When it has no memory controller, or that can't be read.
    pub fn footprint(&self) -> Result<Footprint, Error> {
        let dir = self.of(Controller::Memory).ok_or(Error::Unmeasured)?;
        match dir.version {
            Version::V1 => v1::footprint(&dir.path),
            Version::V2 => v2::footprint(&dir.path),
        }
    }

    /// What it has used so far and uses now; nothing of the network, which has no cgroup. What
    /// it has no controller for is left out: more of them are made if asked for
    /// ([`super::Extras::statistics`]).
    ///
    /// # Errors
    ///
    /// When what should be there can't be read.
    pub fn usage(&self) -> Result<Usage, Error> {
        let mut usage = Usage {
            pids: self.pids()?,
            ..Usage::default()
        };
        if let Some(Dir { version, path, .. }) = self.of(Controller::Memory) {
            let (bytes, limit) = match version {
                Version::V1 => (v1::memory_bytes(path)?, v1::memory_limit_bytes(path)?),
                Version::V2 => (v2::memory_bytes(path)?, v2::memory_limit_bytes(path)?),
            };
            usage.memory_bytes = Some(bytes);
            usage.memory_limit_bytes = limit;
        }
        if let Some(Dir { version, path, .. }) = self.of(Controller::CpuTime) {
            usage.cpu_ns = Some(match version {
                Version::V1 => v1::cpu_ns(path)?,
                Version::V2 => v2::cpu_ns(path)?,
            });
        }
        if let Some(Dir { version, path, .. }) = self.of(Controller::Io) {
            let bytes = match version {
                Version::V1 => v1::block_bytes(path)?,
                Version::V2 => Some(v2::block_bytes(path)?),
            };
            usage.block_read_bytes = bytes.map(|(read, _)| read);
            usage.block_written_bytes = bytes.map(|(_, written)| written);
        }
        Ok(usage)
    }

    /// How many processes and threads there are: what the controller says, or who is there.
    fn pids(&self) -> Result<Option<u64>, Error> {
        if let Some(dir) = self.of(Controller::Pids) {
            return control::number(&dir.path, "pids.current").map(Some);
        }
        let Some(dir) = self.dirs.first() else {
            return Ok(None);
        };
        let file = match dir.version {
            Version::V1 => "tasks",
            Version::V2 => "cgroup.threads",
        };
        self.sum(dir, |cgroup| {
            Ok(control::read(cgroup, file)?.lines().count() as u64)
        })
        .map(Some)
    }

    /// How many of its processes the kernel killed because it was out of memory, whether the
    /// memory that ran out was the cgroup's or the host's.
    ///
    /// # Errors
    ///
    /// When it has no memory controller, or that can't be read.
    pub fn oom_kills(&self) -> Result<u64, Error> {
        let dir = self.of(Controller::Memory).ok_or(Error::Unmeasured)?;
        match dir.version {
            // Each cgroup counts its own, so those that the workload made are looked at, too.
            Version::V1 => self.sum(dir, v1::oom_kills),
            Version::V2 => v2::oom_kills(&dir.path),
        }
    }

    /// Adds up what `count` says of a directory and all below it.
    fn sum(&self, dir: &Dir, count: impl Fn(&Path) -> Result<u64, Error>) -> Result<u64, Error> {
        let cgroups = tree(&dir.path).map_err(|source| Error::Open {
            path: dir.path.clone(),
            source,
        })?;
        cgroups.iter().map(|cgroup| count(cgroup)).sum()
    }

    fn of(&self, controller: Controller) -> Option<&Dir> {
        self.dirs
            .iter()
            .find(|dir| dir.controllers.contains(&controller))
    }
}
