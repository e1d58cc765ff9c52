//! The cgroup that holds everything of an instance: to limit it, to measure it, and to kill it.
//!
//! [`Cgroup`] hides the two versions of the interface. Which one a controller has is read from
//! what is mounted (`hierarchy`): a host may have one, the other, or some controllers on
//! each. What is to be made is worked out first, as a plan (`plan`), so that it can be written
//! down before it is made.
//!
//! An instance has a cgroup whenever one can be made, limits or not, since its footprint is read
//! from it. It needs the memory controller for that, and those of its limits; others only if
//! somebody asks for more ([`Extras`]).
//!
//! # Where it is made
//!
//! Version 1: in each controller's hierarchy, below the cgroup we are in: `OWN/jaula-ID`. That
//! differs from one hierarchy to the next. Below our own, an instance can't use more than we
//! may.
//!
//! Version 2 has a rule against that: a cgroup that hands down controllers may hold no processes
//! itself, and our own holds us. So it is made in the nearest cgroup, from our own up to the
//! topmost that can be seen, that (a) has the controllers, (b) we may write to, and (c) hands
//! them down already, or holds no processes and can, or is the root, which is exempt:
//! `ANCESTOR/jaula-ID`. In practice:
//!
//! - A login session or service of root's: a sibling of the session's scope, in its slice.
//! - An ordinary user in a scope of their own (`systemd-run --user --scope -p Delegate=yes`):
//!   a sibling of the scope, below `user@UID.service`, which systemd delegates to the user. Others
//!   can join it only from below that service, too: from a login session they may not.
//! - An ordinary user elsewhere: nothing, they may not write there.
//! - A container where the only cgroup to be seen is the one that all its processes are in:
//!   nothing. We do not move processes out of the way to make room, our own included: they are
//!   not ours to move, and whoever reads our cgroup (systemd, a supervisor) would lose us.
//!
//! Controllers that had to be enabled in an ancestor stay so.
//!
//! What every cgroup of version 2 can do without a controller (count processor time, freeze, ask
//! a program about devices) is had from our own in that hierarchy, which is often mounted beside
//! those of version 1 (the hybrid layout), where those do not have it or are not ours to write to.

pub(crate) mod called;
mod control;
mod controller;
mod device;
mod entrance;
mod error;
#[cfg(test)]
pub(crate) mod fake_tree;
mod freezer;
pub(crate) mod hierarchy;
mod make;
mod membership;
mod mountinfo;
pub(crate) mod parent;
mod patience;
mod placement;
pub(crate) mod plan;
mod remains;
mod setting;
mod tree;
mod v1;
mod v2;
mod view;

use std::fs::File;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;

pub use controller::Controller;
pub use device::{DeviceKind, DeviceRules};
pub use entrance::Entrance;
pub use error::Error;
pub use placement::Placement;
pub use plan::Extras;
pub use view::CgroupView;

use hierarchy::Version;
use plan::Plan;
use view::Dir;

/// One instance's cgroup. Dropping it kills what is in it and removes it. What can be asked of it
/// is in [`CgroupView`].
///
/// [`crate::InstanceDir::make_cgroup`] is the way to one, so that each is on record for the next
/// run to clear should this one crash.
#[derive(Debug)]
pub struct Cgroup {
    view: CgroupView,
    clone_target: Option<File>,
}

impl Cgroup {
    /// Makes what was planned. What was made before a failure is removed.
    pub(crate) fn make(plan: Plan) -> Result<Self, Error> {
        let mut cgroup = Self {
            view: CgroupView { dirs: Vec::new() },
            clone_target: None,
        };
        for site in plan.sites {
            let inode = make::make_dir(&site)?;
            // From here on, dropping `cgroup` removes it.
            cgroup.view.dirs.push(Dir {
                version: site.version,
                controllers: site.version.with_built_in(&site.controllers),
                path: site.dir.clone(),
                inode,
            });
            make::furnish(&site)?;
        }
        if let [
            Dir {
                version: Version::V2,
                path,
                ..
            },
        ] = &cgroup.view.dirs[..]
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

    /// Kills and removes what a crashed run left: these directories of one instance, which need
    /// not be there.
    pub(crate) fn remove_remains(dirs: &[&Path]) -> Result<(), Error> {
        remains::remove(dirs)
    }

    /// The descriptor for clone3(2)'s `CLONE_INTO_CGROUP`, the cheapest way in, where one is
    /// enough: with version 2 alone.
    pub fn clone_target(&self) -> Option<BorrowedFd<'_>> {
        self.clone_target.as_ref().map(File::as_fd)
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
        let dirs = std::mem::take(&mut self.view.dirs);
        // Never another that was made by its name since.
        let ours: Vec<_> = dirs
            .iter()
            .filter(|dir| dir.is_there())
            .map(|dir| dir.path.as_path())
            .collect();
        remains::remove(&ours)
    }
}

impl Deref for Cgroup {
    type Target = CgroupView;

    fn deref(&self) -> &CgroupView {
        &self.view
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
    use std::fs;
    use std::io::Read;
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::path::PathBuf;
    use std::process::{Child, Command, Stdio};

    use super::plan::{PREFIX, Site};
    use super::*;

    /// Our own cgroup in the version 2 hierarchy, with or without controllers in it.
    fn own_v2() -> Option<PathBuf> {
        let hierarchies = hierarchy::Hierarchies::read(Path::new("/")).unwrap();
        let own = hierarchies
            .v2()
            .map(|hierarchy| hierarchy.own.clone())
            .filter(|own| control::writable(own).is_ok());
        if own.is_none() {
            eprintln!("SKIPPED: needs a mounted version 2 hierarchy, and root");
        }
        own
    }

    /// A cgroup in it that limits nothing, as it would be with controllers.
    fn v2(name: &str) -> Option<Cgroup> {
        v2_with(name, None)
    }

    fn v2_with(name: &str, devices: Option<DeviceRules>) -> Option<Cgroup> {
        let parent = own_v2()?;
        let name = format!("{PREFIX}test-{name}-{}", std::process::id());
        let site = Site {
            version: Version::V2,
            controllers: Vec::new(),
            dir: parent.join(name),
            parent,
            starts_without_cpus: false,
            settings: Vec::new(),
            devices,
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
        let below = cgroup.view.dirs[0].path.join("below");
        fs::create_dir(&below).unwrap();
        let mut child = shell(&cgroup, "echo; exec sleep 1000");
        fs::write(below.join("cgroup.procs"), child.id().to_string()).unwrap();
        cgroup.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn version_2_is_removed_with_what_runs_in_it() {
        let Some(cgroup) = v2("drop") else { return };
        let dir = cgroup.view.dirs[0].path.clone();
        let mut child = shell(&cgroup, "sleep 1000 & echo; exec sleep 1000");
        drop(cgroup);
        assert!(!dir.exists());
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn a_cgroup_made_by_its_name_since_is_spared() {
        let Some(cgroup) = v2("namesake") else { return };
        let dir = cgroup.view.dirs[0].path.clone();
        fs::remove_dir(&dir).unwrap();
        fs::create_dir(&dir).unwrap();
        drop(cgroup);
        assert!(dir.exists());
        remains::remove(&[&dir]).unwrap();
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

    #[test]
    fn version_2_counts_time_and_processes_without_controllers() {
        let Some(cgroup) = v2("usage") else { return };
        let mut child = shell(&cgroup, "sleep 1000 & echo; wait");
        let usage = cgroup.usage().unwrap();
        assert_eq!(usage.pids, Some(2));
        assert!(usage.cpu_ns.is_some_and(|ns| ns > 0), "{usage:?}");
        assert_eq!(usage.memory_bytes, None);
        cgroup.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn version_2_stops_and_lets_go_on() {
        let Some(cgroup) = v2("freeze") else { return };
        let mut child = shell(&cgroup, "echo; exec sleep 1000");
        let frozen = || {
            let events = control::Keyed::read(&cgroup.view.dirs[0].path, "cgroup.events");
            events.unwrap().get("frozen").unwrap()
        };
        cgroup.freeze().unwrap();
        assert_eq!(frozen(), 1);
        cgroup.thaw().unwrap();
        assert_eq!(frozen(), 0);
        cgroup.freeze().unwrap();
        cgroup.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn version_2_keeps_devices_away_that_no_rule_allows() {
        let Some(cgroup) = v2_with("devices", Some(DeviceRules::usual())) else {
            return;
        };
        let script = "echo; : < /dev/zero && echo zero; : < /dev/kmsg && echo kmsg";
        let child = shell(&cgroup, script);
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "zero\n");
    }
}
