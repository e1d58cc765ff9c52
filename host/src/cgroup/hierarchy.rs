//! The cgroup hierarchies of this host that can be reached, and our own place in each.

use std::cell::OnceCell;
use std::fs::{self, File};
use std::io::Read;
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

impl Version {
    /// What a cgroup with these controllers can do.
    pub fn with_built_in(self, controllers: &[Controller]) -> Vec<Controller> {
        let is_built_in =
            |controller: Controller| self == Self::V2 && controller.is_built_into_v2();
        Controller::ALL
            .into_iter()
            .filter(|&controller| controllers.contains(&controller) || is_built_in(controller))
            .collect()
    }
}

/// A mounted hierarchy, and where we are in it.
#[derive(Clone, Debug)]
pub(crate) struct Hierarchy {
    pub version: Version,
    /// The topmost cgroup that can be seen.
    pub top: PathBuf,
    /// The cgroup that this process is in, at or below `top`.
    pub own: PathBuf,
    /// Those of our controllers that it has. Of version 2 it is read when somebody asks: most
    /// often nobody does where all is found with version 1.
    controllers: OnceCell<Vec<Controller>>,
}

impl Hierarchy {
    /// Those of our controllers that it has, without what every cgroup of version 2 can do.
    pub fn controllers(&self) -> &[Controller] {
        self.controllers.get_or_init(|| {
            // In the hybrid layout this mount is there without the controllers, which are
            // bound to version 1: the mount alone says nothing.
            let listed = fs::read(self.top.join("cgroup.controllers")).unwrap_or_default();
            Controller::listed_v2(listed.split(u8::is_ascii_whitespace))
        })
    }

    fn has(&self, controller: Controller) -> bool {
        // Asked in this order, so that nothing is read where it need not be.
        (self.version == Version::V2 && controller.is_built_into_v2())
            || self.controllers().contains(&controller)
    }
}

/// All of them. The layout (version 1, version 2, or the hybrid of both) need not be known: where
/// a controller is, is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hierarchies(Vec<Hierarchy>);

impl Hierarchies {
    /// Reads what is mounted and which cgroups this process is in. `root` is `/`, but in tests.
    ///
    /// # Errors
    ///
    /// When `/proc` can't be read.
    pub fn read(root: &Path) -> Result<Self, Error> {
        let mounts = mountinfo::parse(&read_file(&root.join("proc/self/mountinfo"))?);
        let members = membership::parse(&read_file(&root.join("proc/self/cgroup"))?);
        Ok(Self(
            mounts
                .iter()
                .filter_map(|mount| locate(root, mount, &members))
                .collect(),
        ))
    }

    /// Where `controller` is.
    ///
    /// # Errors
    ///
    /// When it is nowhere.
    pub fn of(&self, controller: Controller) -> Result<&Hierarchy, Error> {
        (self.all_of(controller).next()).ok_or(Error::NoController(controller))
    }

    /// The same where it is in more than one, as only what every cgroup of version 2 can do may be.
    /// Version 1 comes first: a child that enters a cgroup of version 2 by itself waits for
    /// milliseconds ([`super::Entrance`]).
    pub fn all_of(&self, controller: Controller) -> impl Iterator<Item = &Hierarchy> {
        let of_version = move |version| self.0.iter().filter(move |it| it.version == version);
        of_version(Version::V1)
            .chain(of_version(Version::V2))
            // A hierarchy may be mounted twice; the first one where we see ourselves will do.
            .filter(move |hierarchy| hierarchy.has(controller) && hierarchy.own.is_dir())
    }

    /// The one of version 2, if it is mounted and we are in it.
    pub fn v2(&self) -> Option<&Hierarchy> {
        self.0
            .iter()
            .find(|hierarchy| hierarchy.version == Version::V2 && hierarchy.own.is_dir())
    }
}

/// A file of `/proc`, in few reads: each has the kernel begin again at where it was.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, Error> {
    const USUAL_BYTES: usize = 8 << 10;
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    File::open(path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
    Ok(bytes)
}

/// The hierarchy behind `mount`, if our own cgroup could be seen through it.
fn locate(root: &Path, mount: &CgroupMount, members: &[Member]) -> Option<Hierarchy> {
    let top = under(root, &mount.mount_point)?;
    let (version, controllers, path) = match &mount.kind {
        Kind::V1(controllers) => {
            let path = members.iter().find_map(|member| match member {
                Member::V1(theirs, path) if theirs == controllers => Some(path),
                _ => None,
            })?;
            (Version::V1, OnceCell::from(controllers.clone()), path)
        }
        Kind::V2 => {
            let path = members.iter().find_map(|member| match member {
                Member::V2(path) => Some(path),
                Member::V1(..) => None,
            })?;
            (Version::V2, OnceCell::new(), path)
        }
    };
    // In a container without a cgroup namespace, the mount shows only the part below `root`.
    let own = under(&top, path.strip_prefix(&mount.root).ok()?)?;
    Some(Hierarchy {
        version,
        top,
        own,
        controllers,
    })
}

/// `path` below `root`, unless it leads out of it: a cgroup outside of our namespace is shown
/// as `/..`.
pub(super) fn under(root: &Path, path: &Path) -> Option<PathBuf> {
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
    fn a_version_2_mount_without_controllers_has_what_every_cgroup_can_do() {
        let tree = FakeTree::v2("/");
        tree.cgroup("", "", "", "");
        for controller in Controller::ALL {
            let expected = controller
                .is_built_into_v2()
                .then(|| (Version::V2, PathBuf::from("sys/fs/cgroup")));
            assert_eq!(own(&tree, controller), expected, "{controller}");
        }
    }

    #[test]
    fn where_both_versions_can_do_it_version_1_comes_first() {
        let tree = FakeTree::new(
            &[
                "34 31 0:31 / /cg/freezer rw - cgroup cgroup rw,freezer",
                "35 31 0:32 / /cg/cpuacct rw - cgroup cgroup rw,cpuacct",
                "36 31 0:33 / /cg/devices rw - cgroup cgroup rw,devices",
                "41 31 0:38 / /cg/unified rw - cgroup2 cgroup2 rw",
            ],
            &["4:freezer:/", "3:cpuacct:/", "2:devices:/", "0::/"],
        );
        for dir in ["freezer", "cpuacct", "devices", "unified"] {
            tree.dir(&format!("cg/{dir}"), &[]);
        }
        for (controller, dir) in [
            (Controller::Freezer, "cg/freezer"),
            (Controller::CpuTime, "cg/cpuacct"),
            (Controller::Devices, "cg/devices"),
        ] {
            let expected = (Version::V1, PathBuf::from(dir));
            assert_eq!(own(&tree, controller), Some(expected));
            let hierarchies = tree.hierarchies();
            let all: Vec<_> = hierarchies.all_of(controller).collect();
            assert_eq!(all.len(), 2);
            assert_eq!(all[1].version, Version::V2);
        }
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
