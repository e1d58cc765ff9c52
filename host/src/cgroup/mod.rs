//! The cgroup that holds everything of an instance: to limit it, to measure it, and to kill it.
//!
//! [`Cgroup`] hides the two versions of the interface. Which one a controller has is read from
//! what is mounted (`hierarchy`): a host may have one, the other, or some controllers on
//! each. What is to be made is worked out first, as a plan (`plan`), so that it can be written
//! down before it is made.
//!
//! An instance has a cgroup whenever one can be made, limits or not, since its footprint is read
//! from it. It needs the memory controller for that, and those of its limits; no others.
//!
//! # Where it is made
//!
//! Version 1: in each controller's hierarchy, below the cgroup we are in: `OWN/jaula/ID`. That
//! differs from one hierarchy to the next. Below our own, an instance can't use more than we
//! may.
//!
//! Version 2 has a rule against that: a cgroup that hands down controllers may hold no processes
//! itself, and our own holds us. So it is made in the nearest cgroup, from our own up to the
//! topmost that can be seen, that (a) has the controllers, (b) we may write to, and (c) hands
//! them down already, or holds no processes and can, or is the root, which is exempt:
//! `ANCESTOR/jaula/ID`. In practice:
//!
//! - A login session or service of root's: a sibling of the session's scope, in its slice.
//! - An ordinary user in a scope of their own (`systemd-run --user --scope -p Delegate=yes`):
//!   a sibling of the scope, below `user@UID.service`, which systemd delegates to the user.
//! - An ordinary user elsewhere: nothing, they may not write there.
//! - A container where the only cgroup to be seen is the one that all its processes are in:
//!   nothing. We do not move processes out of the way to make room, our own included: they are
//!   not ours to move, and whoever reads our cgroup (systemd, a supervisor) would lose us.
//!
//! Controllers that had to be enabled in an ancestor stay so.

mod control;
mod controller;
mod entrance;
mod error;
#[cfg(test)]
pub(crate) mod fake_tree;
pub(crate) mod hierarchy;
mod make;
mod membership;
mod mountinfo;
mod placement;
pub(crate) mod plan;
mod remains;
mod v1;
mod v2;

use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use launch::Footprint;
use nix::fcntl::OFlag;
use nix::unistd::Pid;

pub use controller::Controller;
pub use entrance::Entrance;
pub use error::Error;
pub use placement::Placement;

use hierarchy::Version;
use plan::Plan;

/// One instance's cgroup. Dropping it kills what is in it and removes it.
///
/// [`crate::InstanceDir::make_cgroup`] is the way to one, so that each is on record for the next
/// run to clear should this one crash.
#[derive(Debug)]
pub struct Cgroup {
    dirs: Vec<Dir>,
    clone_target: Option<File>,
}

/// Its directory in one hierarchy.
#[derive(Debug)]
struct Dir {
    version: Version,
    controllers: Vec<Controller>,
    path: PathBuf,
    /// The kernel gives no two cgroups the same one.
    inode: u64,
}

impl Dir {
    /// Kills and removes it, and never another that was made by its name since.
    fn remove(&self) -> Result<(), Error> {
        let is_ours = fs::metadata(&self.path).is_ok_and(|found| found.ino() == self.inode);
        if is_ours {
            remains::remove(&self.path)
        } else {
            Ok(())
        }
    }
}

impl Cgroup {
    /// Makes what was planned. What was made before a failure is removed.
    pub(crate) fn make(plan: Plan) -> Result<Self, Error> {
        let mut cgroup = Self {
            dirs: Vec::new(),
            clone_target: None,
        };
        for site in plan.sites {
            let inode = make::make_dir(&site)?;
            // From here on, dropping `cgroup` removes it.
            cgroup.dirs.push(Dir {
                version: site.version,
                controllers: site.controllers,
                path: site.dir.clone(),
                inode,
            });
            for setting in &site.settings {
                make::apply(&site.dir, setting)?;
            }
        }
        if let [
            Dir {
                version: Version::V2,
                path,
                ..
            },
        ] = &cgroup.dirs[..]
        {
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
            let opened = File::options()
                .read(true)
                .custom_flags(flags.bits())
                .open(path);
            cgroup.clone_target = Some(opened.map_err(|source| Error::Open {
                path: path.clone(),
                source,
            })?);
        }
        Ok(cgroup)
    }

    /// Kills and removes what a crashed run left: the directory `dir`, which need not be there.
    pub(crate) fn remove_remains(dir: &Path) -> Result<(), Error> {
        remains::remove(dir)
    }

    /// Moves a process into the cgroup, with all its threads. What it already uses stays charged
    /// to where it was.
    ///
    /// Costs milliseconds: a child that enters through [`Cgroup::entrance`], or is cloned into
    /// [`Cgroup::clone_target`], does not.
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

    /// The descriptor for clone3(2)'s `CLONE_INTO_CGROUP`, the cheapest way in, where one is
    /// enough: with version 2 alone.
    pub fn clone_target(&self) -> Option<BorrowedFd<'_>> {
        self.clone_target.as_ref().map(File::as_fd)
    }

    /// Kills every process in it with SIGKILL; returns when none is left.
    ///
    /// # Errors
    ///
    /// When one can't be killed, or hangs in the kernel for seconds.
    pub fn kill(&self) -> Result<(), Error> {
        self.dirs
            .iter()
            .try_for_each(|dir| remains::kill(&dir.path))
    }

    /// What is charged to it.
    ///
    /// # Errors
    ///
    /// When it has no memory controller, or that can't be read.
    pub fn footprint(&self) -> Result<Footprint, Error> {
        let dir = self.memory()?;
        match dir.version {
            Version::V1 => v1::footprint(&dir.path),
            Version::V2 => v2::footprint(&dir.path),
        }
    }

    /// How many of its processes the kernel killed because it was out of memory.
    ///
    /// # Errors
    ///
    /// When it has no memory controller, or that can't be read.
    pub fn oom_kills(&self) -> Result<u64, Error> {
        let dir = self.memory()?;
        match dir.version {
            Version::V1 => v1::oom_kills(&dir.path),
            Version::V2 => v2::oom_kills(&dir.path),
        }
    }

    fn memory(&self) -> Result<&Dir, Error> {
        let measures = |dir: &&Dir| dir.controllers.contains(&Controller::Memory);
        self.dirs.iter().find(measures).ok_or(Error::Unmeasured)
    }

    /// Kills what is in it and removes it, now and with an answer; dropping it does the same.
    ///
    /// # Errors
    ///
    /// When a process can't be killed or the cgroup can't be removed within seconds. What is
    /// left is removed by the next run's sweep.
    pub fn remove(mut self) -> Result<(), Error> {
        self.remove_dirs()
    }

    fn remove_dirs(&mut self) -> Result<(), Error> {
        let mut result = Ok(());
        for dir in self.dirs.drain(..) {
            result = result.and(dir.remove());
        }
        result
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if let Err(error) = self.remove_dirs() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a cgroup is left behind"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::{Child, Command, Stdio};

    use super::plan::{ROOM, Site};
    use super::*;

    /// Our own cgroup in the version 2 hierarchy, with or without controllers in it.
    fn own_v2() -> Option<PathBuf> {
        let mounts = mountinfo::parse(&fs::read("/proc/self/mountinfo").unwrap());
        let members = membership::parse(&fs::read("/proc/self/cgroup").unwrap());
        let own = mounts
            .iter()
            .filter(|mount| mount.kind == mountinfo::Kind::V2)
            .find_map(|mount| hierarchy::locate(Path::new("/"), mount, &members))
            .map(|hierarchy| hierarchy.own)
            .filter(|own| control::writable(own).is_ok());
        if own.is_none() {
            eprintln!("SKIPPED: needs a mounted version 2 hierarchy, and root");
        }
        own
    }

    /// A cgroup in it that limits nothing, as it would be with controllers.
    fn v2(name: &str) -> Option<Cgroup> {
        let parent = own_v2()?;
        let name = format!("test-{name}-{}", std::process::id());
        let site = Site {
            version: Version::V2,
            controllers: Vec::new(),
            dir: parent.join(ROOM).join(name),
            parent,
            settings: Vec::new(),
        };
        Some(Cgroup::make(Plan { sites: vec![site] }).unwrap())
    }

    fn shell(cgroup: &Cgroup, script: &str) -> Child {
        let entrance = cgroup.entrance().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::piped());
        // SAFETY: `enter` does nothing but write(2), which is async-signal-safe.
        unsafe { command.pre_exec(move || entrance.enter()) };
        let mut child = command.spawn().unwrap();
        let started = child.stdout.as_mut().unwrap();
        started.read_exact(&mut [0]).unwrap();
        child
    }

    #[test]
    fn version_2_kills_all_that_is_below() {
        let Some(cgroup) = v2("kill") else { return };
        let below = cgroup.dirs[0].path.join("below");
        fs::create_dir(&below).unwrap();
        let mut child = shell(&cgroup, "echo; exec sleep 1000");
        fs::write(below.join("cgroup.procs"), child.id().to_string()).unwrap();
        cgroup.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn version_2_is_removed_with_what_runs_in_it() {
        let Some(cgroup) = v2("drop") else { return };
        let dir = cgroup.dirs[0].path.clone();
        let mut child = shell(&cgroup, "sleep 1000 & echo; exec sleep 1000");
        drop(cgroup);
        assert!(!dir.exists());
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn a_cgroup_made_by_its_name_since_is_spared() {
        let Some(cgroup) = v2("namesake") else { return };
        let dir = cgroup.dirs[0].path.clone();
        fs::remove_dir(&dir).unwrap();
        fs::create_dir(&dir).unwrap();
        drop(cgroup);
        assert!(dir.exists());
        remains::remove(&dir).unwrap();
    }

    #[test]
    fn version_2_alone_has_a_descriptor_to_clone_into() {
        let Some(cgroup) = v2("clone") else { return };
        assert!(cgroup.clone_target().is_some());
    }

    #[test]
    fn without_the_memory_controller_nothing_is_measured() {
        let Some(cgroup) = v2("measure") else { return };
        assert!(matches!(cgroup.footprint(), Err(Error::Unmeasured)));
        assert!(matches!(cgroup.oom_kills(), Err(Error::Unmeasured)));
    }
}
