//! The cgroup hierarchies of this host that can be reached, and our own place in each.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::controller::Controller;
use super::error::Error;
use super::membership::{self, Member};
use super::mountinfo::{self, CgroupMount, Kind};
use super::{v1, v2};

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

impl Hierarchy {
    /// The cgroup in which one with `controllers` can be made.
    ///
    /// # Errors
    ///
    /// What keeps it from being made in our own, where it can't be made anywhere.
    pub fn parent(&self, controllers: &[Controller]) -> Result<PathBuf, Error> {
        match self.version {
            Version::V1 => v1::parent(self, controllers),
            Version::V2 => v2::parent(self, controllers),
        }
    }
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
            let Some(hierarchy) = locate(root, mount, &members) else {
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

    /// Where `controller` is.
    ///
    /// # Errors
    ///
    /// When it is nowhere.
    pub fn of(&self, controller: Controller) -> Result<&Hierarchy, Error> {
        self.iter()
            .find(|hierarchy| hierarchy.controllers.contains(&controller))
            .ok_or(Error::NoController(controller))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Hierarchy> {
        self.0.iter()
    }
}

/// The hierarchy behind `mount`, if our own cgroup can be seen through it.
pub(super) fn locate(root: &Path, mount: &CgroupMount, members: &[Member]) -> Option<Hierarchy> {
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

#[cfg(test)]
mod tests {
    use super::super::fake_tree::FakeTree;
    use super::*;

    fn own(tree: &FakeTree, controller: Controller) -> Option<(Version, PathBuf)> {
        let hierarchies = tree.hierarchies();
        let found = hierarchies.of(controller).ok()?;
        let below_root = found.own.strip_prefix(tree.root()).unwrap();
        Some((found.version, below_root.to_owned()))
    }

    #[test]
    fn in_the_hybrid_layout_each_controller_is_where_it_is_bound() {
        let tree = FakeTree::new(
            &[
                "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
                "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct",
                "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd",
                "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
            ],
            &[
                "4:memory:/own/here",
                "2:cpu,cpuacct:/",
                "1:name=systemd:/x",
                "0::/",
            ],
        );
        tree.dir("sys/fs/cgroup/memory/own/here", &[]);
        tree.dir("sys/fs/cgroup/cpu,cpuacct", &[]);
        let unified = [("cgroup.controllers", "hugetlb pids\n")];
        tree.dir("sys/fs/cgroup/unified", &unified);
        for (controller, expected) in [
            (
                Controller::Memory,
                (Version::V1, "sys/fs/cgroup/memory/own/here"),
            ),
            (Controller::Cpu, (Version::V1, "sys/fs/cgroup/cpu,cpuacct")),
            (Controller::Pids, (Version::V2, "sys/fs/cgroup/unified")),
        ] {
            let expected = (expected.0, PathBuf::from(expected.1));
            assert_eq!(own(&tree, controller), Some(expected));
        }
    }

    #[test]
    fn a_version_2_mount_without_controllers_counts_for_nothing() {
        let tree = FakeTree::v2("/");
        tree.cgroup("", "", "", "");
        assert_eq!(tree.hierarchies(), Hierarchies::default());
    }

    #[test]
    fn where_a_mount_shows_only_a_part_paths_start_there() {
        for (mount_root, path, expected) in [
            ("/docker/1", "/docker/1", Some("sys/fs/cgroup")),
            ("/docker/1", "/docker/1/a", Some("sys/fs/cgroup/a")),
            ("/docker/1", "/docker/10", None),
            ("/docker/1", "/", None),
            ("/", "/../other", None),
            ("/", "/gone (deleted)", None),
        ] {
            let tree = FakeTree::new(
                &[&format!(
                    "30 24 0:26 {mount_root} /sys/fs/cgroup rw - cgroup cgroup rw,memory"
                )],
                &[&format!("4:memory:{path}")],
            );
            tree.dir("sys/fs/cgroup/a", &[]);
            tree.dir("sys/fs/other", &[]);
            let expected = expected.map(|own| (Version::V1, own.into()));
            assert_eq!(
                own(&tree, Controller::Memory),
                expected,
                "{mount_root} {path}"
            );
        }
    }

    #[test]
    fn of_two_mounts_of_a_hierarchy_the_one_that_shows_us_counts() {
        let tree = FakeTree::new(
            &[
                "30 24 0:26 /other /mnt rw - cgroup cgroup rw,memory",
                "31 24 0:26 / /sys/fs/cgroup rw - cgroup cgroup rw,memory",
            ],
            &["4:memory:/us"],
        );
        tree.dir("mnt", &[]);
        tree.dir("sys/fs/cgroup/us", &[]);
        let expected = (Version::V1, "sys/fs/cgroup/us".into());
        assert_eq!(own(&tree, Controller::Memory), Some(expected));
    }
}
