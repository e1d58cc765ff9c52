//! The cgroup hierarchies of this host that can be reached, and our own place in each.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::controller::Controller;
use super::error::Error;
use super::membership::{self, Member};
use super::mountinfo::{self, CgroupMount, Kind};

/// Which of the two interfaces a hierarchy has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

/// A mounted hierarchy that has a controller we use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    pub version: Version,
    /// Those of our controllers that it has.
    pub controllers: Vec<Controller>,
    /// The topmost cgroup that can be seen.
    pub top: PathBuf,
    /// The cgroup that this process is in, at or below `top`.
    pub own: PathBuf,
}

/// All of them. No controller is in two, so the layout (version 1, version 2, or the hybrid of
/// both) need not be known: where a controller is, is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hierarchies(Vec<Hierarchy>);

impl Hierarchies {
    /// Reads what is mounted and which cgroups this process is in. `root` is `/`, but in tests.
    ///
    /// # Errors
    ///
    /// When `/proc` can't be read.
    pub fn read(root: &Path) -> Result<Self, Error> {
        let read = |name| {
            let path = root.join(name);
            fs::read(&path).map_err(|source| Error::Read { path, source })
        };
        let mounts = mountinfo::parse(&read("proc/self/mountinfo")?);
        let members = membership::parse(&read("proc/self/cgroup")?);
        let mut found = Vec::<Hierarchy>::new();
        for mount in &mounts {
            let Some(hierarchy) = join(root, mount, &members) else {
                continue;
            };
            // A hierarchy may be mounted twice; the first one where we see ourselves will do.
            let known = |h: &Hierarchy| h.controllers == hierarchy.controllers;
            if !hierarchy.controllers.is_empty() && !found.iter().any(known) {
                found.push(hierarchy);
            }
        }
        Ok(Self(found))
    }

    /// Where `controller` is, if anywhere.
    pub fn of(&self, controller: Controller) -> Option<&Hierarchy> {
        self.0.iter().find(|h| h.controllers.contains(&controller))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Hierarchy> {
        self.0.iter()
    }
}

/// The hierarchy behind `mount`, if our own cgroup can be seen through it.
fn join(root: &Path, mount: &CgroupMount, members: &[Member]) -> Option<Hierarchy> {
    let top = under(root, &mount.mount_point)?;
    let (version, controllers, path) = match &mount.kind {
        Kind::V1(controllers) => {
            let path = members.iter().find_map(|member| match member {
                Member::V1(theirs, path) if theirs == controllers => Some(path),
                _ => None,
            })?;
            (Version::V1, controllers.clone(), path)
        }
        Kind::V2 => {
            let path = members.iter().find_map(|member| match member {
                Member::V2(path) => Some(path),
                Member::V1(..) => None,
            })?;
            // In the hybrid layout this mount is there without the controllers, which are
            // bound to version 1: the mount alone says nothing.
            let listed = fs::read(top.join("cgroup.controllers")).ok()?;
            let controllers = Controller::listed(listed.split(u8::is_ascii_whitespace));
            (Version::V2, controllers, path)
        }
    };
    // In a container without a cgroup namespace, the mount shows only the part below `root`.
    let own = under(&top, path.strip_prefix(&mount.root).ok()?)?;
    own.is_dir().then_some(Hierarchy {
        version,
        controllers,
        top,
        own,
    })
}

/// `path` below `root`, unless it leads out of it: a cgroup outside of our namespace is shown
/// as `/..`.
fn under(root: &Path, path: &Path) -> Option<PathBuf> {
    let mut joined = root.to_owned();
    for component in path.components() {
        match component {
            Component::Normal(name) => joined.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(joined)
}
