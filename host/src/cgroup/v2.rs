//! What is particular to version 2: one hierarchy, whose controllers are handed down from cgroup
//! to cgroup. (Documentation/admin-guide/cgroup-v2.rst)

use std::path::{Path, PathBuf};

use launch::{Charge, Footprint, Resources};

use super::control::{Keyed, number, read, writable};
use super::controller::Controller;
use super::error::Error;
use super::hierarchy::Hierarchy;
use super::plan::{CPU_PERIOD_US, Setting, cpu_quota_us};

/// What is written to the instance's cgroup for `controller`'s limit, in this order.
pub(super) fn settings(controller: Controller, resources: &Resources) -> Vec<Setting> {
    match controller {
        Controller::Memory => resources.memory.map_or_else(Vec::new, |limit| {
            vec![
                Setting::required("memory.max", limit.bytes()),
                // Swap alone, unlike version 1's. Absent without swap accounting.
                Setting::if_present("memory.swap.max", 0),
            ]
        }),
        Controller::Cpu => resources.cpus.map_or_else(Vec::new, |limit| {
            let quota_us = cpu_quota_us(limit);
            vec![Setting::required(
                "cpu.max",
                format!("{quota_us} {CPU_PERIOD_US}"),
            )]
        }),
        Controller::Pids => resources.pids.map_or_else(Vec::new, |limit| {
            vec![Setting::required("pids.max", limit.get())]
        }),
    }
}

/// The cgroup that can be the parent of a cgroup with `controllers`: the one nearest to our own,
/// or that itself.
///
/// # Errors
///
/// What keeps our own from it, when there is none up to the top.
pub(super) fn parent(hierarchy: &Hierarchy, controllers: &[Controller]) -> Result<PathBuf, Error> {
    let Some(nearest) = obstacle(&hierarchy.own, controllers)? else {
        return Ok(hierarchy.own.clone());
    };
    let above = hierarchy.own.ancestors().skip(1);
    for cgroup in above.take_while(|cgroup| cgroup.starts_with(&hierarchy.top)) {
        if obstacle(cgroup, controllers)?.is_none() {
            return Ok(cgroup.to_owned());
        }
    }
    Err(nearest)
}

/// What keeps `cgroup` from having a child with `controllers`, if anything.
fn obstacle(cgroup: &Path, controllers: &[Controller]) -> Result<Option<Error>, Error> {
    let given = listed(cgroup, "cgroup.controllers")?;
    let handed_down = listed(cgroup, "cgroup.subtree_control")?;
    for &controller in controllers {
        let denied = |source| Error::Denied {
            controller,
            parent: cgroup.to_owned(),
            source,
        };
        if let Err(source) = writable(cgroup) {
            return Ok(Some(denied(source)));
        }
        // Who moves a process must be allowed to write here in the nearest cgroup that holds
        // both its old and its new one, which is this one ("Delegation Containment").
        if let Err(source) = writable(&cgroup.join("cgroup.procs")) {
            return Ok(Some(denied(source)));
        }
        if !given.contains(&controller) {
            return Ok(Some(Error::NotDelegated {
                controller,
                cgroup: cgroup.to_owned(),
            }));
        }
        if handed_down.contains(&controller) {
            continue;
        }
        if let Err(source) = writable(&cgroup.join("cgroup.subtree_control")) {
            return Ok(Some(denied(source)));
        }
        // "No Internal Process Constraint". The hierarchy's very root is exempt, and is the only
        // one without a type.
        let exempt = !cgroup.join("cgroup.type").exists();
        if !exempt && !read(cgroup, "cgroup.procs")?.is_empty() {
            return Ok(Some(Error::Occupied {
                controller,
                cgroup: cgroup.to_owned(),
            }));
        }
    }
    Ok(None)
}

fn listed(cgroup: &Path, file: &str) -> Result<Vec<Controller>, Error> {
    let text = read(cgroup, file)?;
    Ok(Controller::listed(
        text.split_ascii_whitespace().map(str::as_bytes),
    ))
}

/// Reads the cgroup `dir`.
pub(super) fn footprint(dir: &Path) -> Result<Footprint, Error> {
    let stat = Keyed::read(dir, "memory.stat")?;
    // "file" counts tmpfs and shared memory too, which can't be reclaimed without swap.
    let shmem = stat.get("shmem")?;
    // The sum "kernel" is there since Linux 5.18; its parts are older.
    let kernel_bytes = match stat.find("kernel") {
        Some(bytes) => bytes,
        None => stat.get("slab")? + stat.get("kernel_stack")? + stat.get("pagetables")?,
    };
    Ok(Footprint {
        charge: Charge::CgroupV2,
        current_bytes: number(dir, "memory.current")?,
        peak_bytes: number(dir, "memory.peak")?,
        anon_bytes: stat.get("anon")? + shmem,
        file_bytes: stat.get("file")?.saturating_sub(shmem),
        kernel_bytes,
    })
}

/// How many processes of the cgroup `dir` the kernel killed for want of memory.
pub(super) fn oom_kills(dir: &Path) -> Result<u64, Error> {
    Keyed::read(dir, "memory.events")?.get("oom_kill")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::fake_tree::FakeTree;
    use super::*;

    const BOTH: [Controller; 2] = [Controller::Memory, Controller::Cpu];

    fn parent_of(tree: &FakeTree, controllers: &[Controller]) -> Result<PathBuf, Error> {
        let hierarchies = tree.hierarchies();
        parent(hierarchies.of(controllers[0]).unwrap(), controllers)
    }

    #[test]
    fn limits_become_these_files() {
        let resources = Resources {
            memory: Some("64m".parse().unwrap()),
            cpus: Some("1.5".parse().unwrap()),
            pids: Some("7".parse().unwrap()),
            ..Resources::default()
        };
        for (controller, expected) in [
            (
                Controller::Memory,
                vec![
                    Setting::required("memory.max", 64 << 20),
                    Setting::if_present("memory.swap.max", 0),
                ],
            ),
            (
                Controller::Cpu,
                vec![Setting::required("cpu.max", "150000 100000")],
            ),
            (Controller::Pids, vec![Setting::required("pids.max", 7)]),
        ] {
            assert_eq!(settings(controller, &resources), expected);
            assert_eq!(settings(controller, &Resources::default()), []);
        }
    }

    #[test]
    fn a_session_gets_a_sibling() {
        let tree = FakeTree::v2("/user.slice/session-1.scope");
        tree.cgroup("", "cpu memory pids", "cpu memory pids", "1\n");
        let slice = tree.cgroup("user.slice", "cpu memory pids", "memory pids", "");
        tree.cgroup("user.slice/session-1.scope", "memory pids", "", "77\n");
        assert_eq!(parent_of(&tree, &BOTH).unwrap(), slice);
    }

    #[test]
    fn the_root_may_hold_processes() {
        let tree = FakeTree::v2("/");
        let root = tree.cgroup("", "cpu memory pids", "", "1\n77\n");
        assert_eq!(parent_of(&tree, &BOTH).unwrap(), root);
    }

    #[test]
    fn processes_above_are_passed_over_up_to_the_root() {
        let tree = FakeTree::v2("/a/b");
        let root = tree.cgroup("", "cpu memory", "cpu memory", "");
        tree.cgroup("a", "cpu memory", "", "5\n");
        tree.cgroup("a/b", "", "", "77\n");
        assert_eq!(parent_of(&tree, &BOTH).unwrap(), root);
    }

    #[test]
    fn nothing_above_the_topmost_that_is_mounted_is_looked_at() {
        // As in a container without a cgroup namespace.
        let tree = FakeTree::new(
            &["30 24 0:26 /docker/1 /sys/fs/cgroup/docker/1 rw - cgroup2 cgroup2 rw"],
            &["0::/docker/1"],
        );
        tree.cgroup("", "cpu memory", "cpu memory", "");
        tree.cgroup("docker", "cpu memory", "cpu memory", "");
        let own = tree.cgroup("docker/1", "cpu memory", "", "1\n77\n");
        let error = parent_of(&tree, &BOTH).unwrap_err();
        assert!(
            matches!(&error, Error::Occupied { cgroup, .. } if *cgroup == own),
            "{error:?}"
        );
    }

    #[test]
    fn a_controller_that_is_handed_to_nobody_we_may_ask_is_named() {
        let tree = FakeTree::new(
            &["30 24 0:26 /s /sys/fs/cgroup/s rw - cgroup2 cgroup2 rw"],
            &["0::/s/x"],
        );
        tree.cgroup("s", "memory", "memory", "");
        tree.cgroup("s/x", "memory", "", "77\n");
        let error = parent_of(&tree, &[Controller::Memory, Controller::Cpu]).unwrap_err();
        assert!(
            matches!(error, Error::Occupied { .. } | Error::NotDelegated { .. }),
            "{error:?}"
        );
    }

    #[test]
    fn shared_memory_counts_as_anonymous() {
        let tree = FakeTree::v2("/");
        for (kernel, expected) in [
            ("kernel 100\nslab 1\n", 100),
            ("slab 10\nkernel_stack 20\npagetables 30\n", 60),
        ] {
            let stat = format!("anon 500\nfile 300\n{kernel}shmem 50\nfile_mapped 9\n");
            let dir = tree.dir(
                "c",
                &[
                    ("memory.current", "1000\n"),
                    ("memory.peak", "2000\n"),
                    ("memory.stat", &stat),
                ],
            );
            let expected = Footprint {
                charge: Charge::CgroupV2,
                current_bytes: 1000,
                peak_bytes: 2000,
                anon_bytes: 550,
                file_bytes: 250,
                kernel_bytes: expected,
            };
            assert_eq!(footprint(&dir).unwrap(), expected);
        }
    }

    #[test]
    fn oom_kills_are_counted_by_the_kernel() {
        let dir = tempfile::tempdir().unwrap();
        let text = "low 0\nhigh 0\nmax 7\noom 4\noom_kill 3\noom_group_kill 0\n";
        fs::write(dir.path().join("memory.events"), text).unwrap();
        assert_eq!(oom_kills(dir.path()).unwrap(), 3);
    }
}
