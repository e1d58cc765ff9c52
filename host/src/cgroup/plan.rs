//! What will be made for an instance, worked out before anything is: so that it can be written
//! down first, for whoever has to clean up after us.

use std::path::{Path, PathBuf};

use launch::{CpuLimit, InstanceId, Resources};

use super::controller::Controller;
use super::error::Error;
use super::hierarchy::{Hierarchies, Version};
use super::{v1, v2};

/// The cgroup that holds those of all instances, in each hierarchy.
pub(crate) const ROOM: &str = "jaula";

/// The period of a CPU quota: the kernel's default, and docker's. In microseconds.
pub(super) const CPU_PERIOD_US: u32 = 100_000;

/// The processor time in a period, in microseconds. The kernel takes no less than 1 ms, which
/// is what the smallest [`CpuLimit`] comes to.
pub(super) fn cpu_quota_us(limit: CpuLimit) -> u64 {
    u64::from(limit.milli_cpus()) * u64::from(CPU_PERIOD_US) / 1000
}

/// A value for a control file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub file: &'static str,
    pub value: String,
    /// Whether a kernel without the file has nothing to be limited by it.
    pub optional: bool,
}

impl Setting {
    pub fn required(file: &'static str, value: impl ToString) -> Self {
        Self {
            file,
            value: value.to_string(),
            optional: false,
        }
    }

    pub fn if_present(file: &'static str, value: impl ToString) -> Self {
        Self {
            optional: true,
            ..Self::required(file, value)
        }
    }
}

/// One directory to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Site {
    pub version: Version,
    /// What it limits or measures.
    pub controllers: Vec<Controller>,
    /// The cgroup in which the room is made.
    pub parent: PathBuf,
    /// The directory: `parent`/jaula/ID.
    pub dir: PathBuf,
    /// What is written in it.
    pub settings: Vec<Setting>,
}

/// All of them: one with version 2, one a controller with version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(super) sites: Vec<Site>,
}

impl Plan {
    /// What an instance called `id` with these limits needs: the controllers of its limits, and
    /// the memory controller for its footprint where that can be had.
    ///
    /// # Errors
    ///
    /// When a limit can't be kept, when nothing at all can be made, or when the name is taken.
    pub fn new(
        hierarchies: &Hierarchies,
        id: &InstanceId,
        resources: &Resources,
    ) -> Result<Self, Error> {
        let limited = limited(resources);
        let measured = limited.contains(&Controller::Memory);
        let mut wished = limited.clone();
        if !measured {
            wished.push(Controller::Memory);
        }
        let sites = match sites(hierarchies, id, resources, &wished) {
            Err(error) if error.is_unavailable() && !measured && !limited.is_empty() => {
                sites(hierarchies, id, resources, &limited)?
            }
            result => result?,
        };
        match sites.iter().find(|site| site.dir.exists()) {
            Some(site) => Err(Error::Exists(site.dir.clone())),
            None => Ok(Self { sites }),
        }
    }

    /// The directories that will be made.
    pub fn dirs(&self) -> impl Iterator<Item = &Path> {
        self.sites.iter().map(|site| site.dir.as_path())
    }
}

fn limited(resources: &Resources) -> Vec<Controller> {
    [
        resources.memory.map(|_| Controller::Memory),
        resources.cpus.map(|_| Controller::Cpu),
        resources.pids.map(|_| Controller::Pids),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn sites(
    hierarchies: &Hierarchies,
    id: &InstanceId,
    resources: &Resources,
    wished: &[Controller],
) -> Result<Vec<Site>, Error> {
    for &controller in wished {
        hierarchies.of(controller)?;
    }
    let mut sites = Vec::new();
    for hierarchy in hierarchies.iter() {
        let mut controllers = hierarchy.controllers.clone();
        controllers.retain(|controller| wished.contains(controller));
        if controllers.is_empty() {
            continue;
        }
        let parent = hierarchy.parent(&controllers)?;
        let settings = match hierarchy.version {
            Version::V1 => v1::settings,
            Version::V2 => v2::settings,
        };
        sites.push(Site {
            version: hierarchy.version,
            settings: controllers
                .iter()
                .flat_map(|&controller| settings(controller, resources))
                .collect(),
            dir: parent.join(ROOM).join(id.as_str()),
            parent,
            controllers,
        });
    }
    Ok(sites)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::fake_tree::FakeTree;
    use super::*;

    fn plan(tree: &FakeTree, resources: &Resources) -> Result<Plan, Error> {
        Plan::new(&tree.hierarchies(), &"web".parse().unwrap(), resources)
    }

    fn v1() -> FakeTree {
        let tree = FakeTree::new(
            &[
                "1 0 0:1 / /cg/memory rw - cgroup cgroup rw,memory",
                "2 0 0:2 / /cg/cpu rw - cgroup cgroup rw,cpu",
                "3 0 0:3 / /cg/pids rw - cgroup cgroup rw,pids",
            ],
            &["4:memory:/own", "3:cpu:/", "2:pids:/"],
        );
        for dir in ["cg/memory/own", "cg/cpu", "cg/pids"] {
            tree.dir(dir, &[]);
        }
        tree
    }

    fn dirs(tree: &FakeTree, plan: &Plan) -> Vec<String> {
        plan.dirs()
            .map(|dir| dir.strip_prefix(tree.root()).unwrap())
            .map(|dir| dir.to_str().unwrap().to_owned())
            .collect()
    }

    fn cpus() -> Resources {
        Resources {
            cpus: Some("1".parse().unwrap()),
            ..Resources::default()
        }
    }

    #[test]
    fn version_1_has_a_directory_for_memory_and_one_for_each_limit() {
        let tree = v1();
        for (resources, expected) in [
            (Resources::default(), &["cg/memory/own/jaula/web"][..]),
            (cpus(), &["cg/memory/own/jaula/web", "cg/cpu/jaula/web"]),
        ] {
            let plan = plan(&tree, &resources).unwrap();
            assert_eq!(dirs(&tree, &plan), expected);
        }
    }

    #[test]
    fn version_2_has_one_directory_for_all() {
        let tree = FakeTree::v2("/");
        tree.cgroup("", "cpu memory pids", "", "1\n");
        let plan = plan(&tree, &cpus()).unwrap();
        assert_eq!(dirs(&tree, &plan), ["sys/fs/cgroup/jaula/web"]);
        assert_eq!(
            plan.sites[0].controllers,
            [Controller::Memory, Controller::Cpu]
        );
    }

    #[test]
    fn a_limit_is_kept_even_where_nothing_can_be_measured() {
        let tree = v1();
        fs::remove_dir_all(tree.root().join("cg/memory")).unwrap();
        let plan = plan(&tree, &cpus()).unwrap();
        assert_eq!(dirs(&tree, &plan), ["cg/cpu/jaula/web"]);
    }

    #[test]
    fn a_limit_without_its_controller_is_an_error_that_names_it() {
        let tree = v1();
        fs::remove_dir_all(tree.root().join("cg/cpu")).unwrap();
        let error = plan(&tree, &cpus()).unwrap_err();
        assert!(
            matches!(error, Error::NoController(Controller::Cpu)),
            "{error:?}"
        );
    }

    #[test]
    fn a_cgroup_that_is_there_is_not_taken_over() {
        let tree = v1();
        let taken = tree.dir("cg/cpu/jaula/web", &[]);
        let error = plan(&tree, &cpus()).unwrap_err();
        assert!(
            matches!(&error, Error::Exists(path) if *path == taken),
            "{error:?}"
        );
    }
}
