//! What will be made for an instance, worked out before anything is: so that it can be written
//! down first, for whoever has to clean up after us.

use std::path::{Path, PathBuf};

use launch::{CpuSet, InstanceId, Resources};

use super::controller::Controller;
use super::device::DeviceRules;
use super::error::Error;
use super::hierarchy::{Hierarchies, Hierarchy, Version};
use super::parent::{parent, usable};
use super::setting::Setting;
use super::{control, v1, v2};

/// What the name of an instance's cgroup begins with; the instance's own follows.
pub(crate) const PREFIX: &str = "jaula-";

/// What the cgroup of an instance is called.
pub(crate) fn name(id: &InstanceId) -> String {
    format!("{PREFIX}{id}")
}

/// What an instance's cgroup is for, beyond keeping its limits and measuring its memory. All of it
/// costs time at the start and at the end, so nothing is had that nobody asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Everything of [`launch::Usage`] that this host can count. What it can't is left out.
    pub statistics: bool,
    /// That the instance can be stopped and let go on, if this host can do that.
    pub freezer: bool,
    /// The devices that may be used, and no others. Without, all may.
    pub devices: Option<DeviceRules>,
}

/// One directory to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Site {
    pub version: Version,
    /// What it limits or measures.
    pub controllers: Vec<Controller>,
    /// The cgroup in which it is made.
    pub parent: PathBuf,
    /// The directory: `parent`/jaula-ID.
    pub dir: PathBuf,
    /// Version 1: whether it has no processors and no memory nodes until they are copied from
    /// the parent.
    pub starts_without_cpus: bool,
    /// What is written in it.
    pub settings: Vec<Setting>,
    /// Version 2: the devices that may be used in it.
    pub devices: Option<DeviceRules>,
}

/// All of them: one with version 2, one a controller with version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(super) sites: Vec<Site>,
}

impl Plan {
    /// What an instance called `id` needs: the controllers of its limits and of the devices that
    /// it may use, and those for its footprint and the other extras where they can be had.
    ///
    /// # Errors
    ///
    /// When a limit can't be kept, when nothing at all can be made, or when the name is taken.
    pub fn new(
        hierarchies: &Hierarchies,
        id: &InstanceId,
        resources: &Resources,
        extras: &Extras,
    ) -> Result<Self, Error> {
        let request = Request {
            hierarchies,
            id,
            resources,
            extras,
        };
        let sites = request.sites()?;
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

struct Request<'a> {
    hierarchies: &'a Hierarchies,
    id: &'a InstanceId,
    resources: &'a Resources,
    extras: &'a Extras,
}

impl Request<'_> {
    fn sites(&self) -> Result<Vec<Site>, Error> {
        let required = self.required();
        let mut wished = required.clone();
        wished.extend(
            self.optional()
                .into_iter()
                .filter(|optional| !required.contains(optional)),
        );
        let unavailable = match self.sites_with(&wished) {
            Err(error) if error.is_unavailable() && wished.len() > required.len() => error,
            result => return result,
        };
        // Something can't be had. What is optional is tried one after another.
        let mut sites = Vec::new();
        let mut had = required.clone();
        if !had.is_empty() {
            sites = self.sites_with(&had)?;
        }
        for &optional in &wished[required.len()..] {
            had.push(optional);
            match self.sites_with(&had) {
                Ok(more) => sites = more,
                Err(error) if error.is_unavailable() => drop(had.pop()),
                Err(error) => return Err(error),
            }
        }
        if sites.is_empty() {
            Err(unavailable)
        } else {
            Ok(sites)
        }
    }

    fn required(&self) -> Vec<Controller> {
        let Resources {
            memory,
            memory_swap,
            cpus,
            cpuset,
            pids,
        } = self.resources;
        [
            (memory.is_some() || memory_swap.is_some()).then_some(Controller::Memory),
            cpus.map(|_| Controller::Cpu),
            cpuset.as_ref().map(|_| Controller::Cpuset),
            pids.map(|_| Controller::Pids),
            self.extras.devices.as_ref().map(|_| Controller::Devices),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn optional(&self) -> Vec<Controller> {
        let mut optional = vec![Controller::Memory];
        if self.extras.statistics {
            optional.extend([Controller::CpuTime, Controller::Io, Controller::Pids]);
        }
        if self.extras.freezer {
            optional.push(Controller::Freezer);
        }
        optional
    }

    fn sites_with(&self, wished: &[Controller]) -> Result<Vec<Site>, Error> {
        let mut found: Vec<(&Hierarchy, Vec<Controller>)> = Vec::new();
        for controller in Controller::ALL {
            if !wished.contains(&controller) {
                continue;
            }
            let hierarchy = usable(self.hierarchies, controller)?;
            let known = found
                .iter_mut()
                .find(|(known, _)| std::ptr::eq(*known, hierarchy));
            match known {
                Some((_, controllers)) => controllers.push(controller),
                None => found.push((hierarchy, vec![controller])),
            }
        }
        found
            .into_iter()
            .map(|(hierarchy, controllers)| self.site(hierarchy, controllers))
            .collect()
    }

    fn site(&self, hierarchy: &Hierarchy, controllers: Vec<Controller>) -> Result<Site, Error> {
        let parent = parent(hierarchy, &controllers)?;
        let version = hierarchy.version;
        let settings = |controller| match version {
            Version::V1 => v1::settings(controller, self.resources, self.extras.devices.as_ref()),
            Version::V2 => v2::settings(controller, self.resources),
        };
        if let Some(cpuset) = &self.resources.cpuset
            && controllers.contains(&Controller::Cpuset)
        {
            check_cpus(cpuset, &parent, version)?;
        }
        Ok(Site {
            version,
            settings: controllers.iter().copied().flat_map(settings).collect(),
            dir: parent.join(name(self.id)),
            parent,
            starts_without_cpus: version == Version::V1
                && hierarchy.controllers().contains(&Controller::Cpuset),
            devices: self
                .extras
                .devices
                .clone()
                .filter(|_| version == Version::V2 && controllers.contains(&Controller::Devices)),
            controllers,
        })
    }
}

/// Refuses processors that `parent` has not: version 1 would say no more than that it is denied,
/// and version 2 would take others.
fn check_cpus(asked: &CpuSet, parent: &Path, version: Version) -> Result<(), Error> {
    let file = match version {
        Version::V1 => "cpuset.effective_cpus",
        Version::V2 => "cpuset.cpus.effective",
    };
    let given = control::read(parent, file)?;
    let given: CpuSet = given.trim().parse().map_err(|_| Error::NoFigure {
        path: parent.join(file),
        key: "its CPUs",
    })?;
    if asked.cpus().iter().all(|cpu| given.cpus().contains(cpu)) {
        Ok(())
    } else {
        Err(Error::Cpus {
            asked: asked.clone(),
            given,
            cgroup: parent.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::fake_tree::FakeTree;
    use super::*;

    fn plan(tree: &FakeTree, resources: &Resources) -> Result<Plan, Error> {
        plan_with(tree, resources, &Extras::default())
    }

    fn plan_with(tree: &FakeTree, resources: &Resources, extras: &Extras) -> Result<Plan, Error> {
        let id = "web".parse().unwrap();
        Plan::new(&tree.hierarchies(), &id, resources, extras)
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
            (Resources::default(), &["cg/memory/own/jaula-web"][..]),
            (cpus(), &["cg/memory/own/jaula-web", "cg/cpu/jaula-web"]),
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
        assert_eq!(dirs(&tree, &plan), ["sys/fs/cgroup/jaula-web"]);
        assert_eq!(
            plan.sites[0].controllers,
            [Controller::Memory, Controller::Cpu]
        );
    }

    fn statistics() -> Extras {
        Extras {
            statistics: true,
            ..Extras::default()
        }
    }

    #[test]
    fn statistics_take_what_there_is() {
        let tree = v1();
        let plan = plan_with(&tree, &Resources::default(), &statistics()).unwrap();
        assert_eq!(
            dirs(&tree, &plan),
            ["cg/memory/own/jaula-web", "cg/pids/jaula-web"]
        );
    }

    #[test]
    fn in_the_hybrid_layout_version_2_does_what_version_1_does_not() {
        let tree = FakeTree::new(
            &[
                "1 0 0:1 / /cg/memory rw - cgroup cgroup rw,memory",
                "2 0 0:2 / /cg/cpuacct rw - cgroup cgroup rw,cpuacct",
                "3 0 0:3 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw",
            ],
            &["4:memory:/", "3:cpuacct:/", "0::/"],
        );
        for dir in ["cg/memory", "cg/cpuacct"] {
            tree.dir(dir, &[]);
        }
        tree.cgroup("", "", "", "1\n");
        let extras = Extras {
            freezer: true,
            ..statistics()
        };
        let plan = plan_with(&tree, &Resources::default(), &extras).unwrap();
        let controllers = plan.sites.iter().map(|site| &site.controllers[..]);
        let found: Vec<_> = dirs(&tree, &plan).into_iter().zip(controllers).collect();
        assert_eq!(
            found,
            [
                ("cg/memory/jaula-web".into(), &[Controller::Memory][..]),
                ("cg/cpuacct/jaula-web".into(), &[Controller::CpuTime]),
                ("sys/fs/cgroup/jaula-web".into(), &[Controller::Freezer]),
            ]
        );
    }

    #[test]
    fn devices_are_a_program_with_version_2_and_settings_with_version_1() {
        let extras = Extras {
            devices: Some(DeviceRules::usual()),
            ..Extras::default()
        };
        let v2 = FakeTree::v2("/");
        v2.cgroup("", "memory", "memory", "1\n");
        let v1 = FakeTree::new(
            &["1 0 0:1 / /cg rw - cgroup cgroup rw,devices"],
            &["4:devices:/"],
        );
        v1.dir("cg", &[]);
        for (tree, is_program) in [(v2, true), (v1, false)] {
            let plan = plan_with(&tree, &Resources::default(), &extras).unwrap();
            let [site] = &plan.sites[..] else {
                panic!("{plan:?}")
            };
            assert_eq!(site.devices.is_some(), is_program);
            assert_eq!(site.settings.is_empty(), is_program);
        }
    }

    #[test]
    fn devices_that_can_not_be_kept_away_are_an_error() {
        let extras = Extras {
            devices: Some(DeviceRules::usual()),
            ..Extras::default()
        };
        let error = plan_with(&v1(), &Resources::default(), &extras).unwrap_err();
        assert!(
            matches!(error, Error::NoController(Controller::Devices)),
            "{error:?}"
        );
    }

    #[test]
    fn processors_that_the_parent_has_not_are_refused_with_both() {
        let resources = Resources {
            cpuset: Some("1-2".parse().unwrap()),
            ..Resources::default()
        };
        for (given, refused) in [("0-1", true), ("0-3", false), ("1,2", false)] {
            let tree = FakeTree::v2("/");
            let root = tree.cgroup("", "cpuset memory", "", "1\n");
            fs::write(root.join("cpuset.cpus.effective"), format!("{given}\n")).unwrap();
            let plan = plan(&tree, &resources);
            assert_eq!(matches!(plan, Err(Error::Cpus { .. })), refused, "{given}");
        }
    }

    #[test]
    fn a_hierarchy_of_version_1_that_shares_the_cpusets_starts_without_cpus() {
        let tree = FakeTree::new(
            &["1 0 0:1 / /cg rw - cgroup cgroup rw,cpu,cpuset"],
            &["4:cpu,cpuset:/"],
        );
        tree.dir("cg", &[]);
        let plan = plan(&tree, &cpus()).unwrap();
        assert!(plan.sites[0].starts_without_cpus);
    }

    #[test]
    fn a_limit_is_kept_even_where_nothing_can_be_measured() {
        let tree = v1();
        fs::remove_dir_all(tree.root().join("cg/memory")).unwrap();
        let plan = plan(&tree, &cpus()).unwrap();
        assert_eq!(dirs(&tree, &plan), ["cg/cpu/jaula-web"]);
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
        let taken = tree.dir("cg/cpu/jaula-web", &[]);
        let error = plan(&tree, &cpus()).unwrap_err();
        assert!(
            matches!(&error, Error::Exists(path) if *path == taken),
            "{error:?}"
        );
    }
}
