//! What is particular to version 2: one hierarchy, whose controllers are handed down from cgroup
//! to cgroup. (Documentation/admin-guide/cgroup-v2.rst)

use std::path::{Path, PathBuf};

use launch::{Charge, Footprint, MemorySwap, Resources};

use super::control::{Keyed, number, read, writable};
use super::controller::Controller;
use super::error::Error;
use super::hierarchy::Hierarchy;
use super::setting::{CPU_PERIOD_US, IfAbsent, Setting, cpu_quota_us};

/// What is written to the instance's cgroup for `controller`, in this order.
pub(super) fn settings(controller: Controller, resources: &Resources) -> Vec<Setting> {
    match controller {
        Controller::Memory => memory_settings(resources),
        Controller::Cpu => resources.cpus.map_or_else(Vec::new, |limit| {
            let quota_us = cpu_quota_us(limit);
            vec![Setting::required(
                "cpu.max",
                format!("{quota_us} {CPU_PERIOD_US}"),
            )]
        }),
        Controller::Cpuset => resources
            .cpuset
            .iter()
            .map(|cpus| Setting::required("cpuset.cpus", cpus))
            .collect(),
        Controller::Pids => resources.pids.map_or_else(Vec::new, |limit| {
            vec![Setting::required("pids.max", limit.get())]
        }),
        // Devices have a program.
        Controller::Io | Controller::CpuTime | Controller::Freezer | Controller::Devices => {
            Vec::new()
        }
    }
}

fn memory_settings(resources: &Resources) -> Vec<Setting> {
    let memory = resources
        .memory
        .map(|limit| Setting::required("memory.max", limit.bytes()));
    // Swap alone, unlike version 1's.
    let swap = |bytes: u64| Setting::required("memory.swap.max", bytes);
    let swap = match (resources.memory, resources.memory_swap) {
        (Some(memory), Some(MemorySwap::Total(total))) => {
            let bytes = total.bytes().saturating_sub(memory.bytes());
            Some(swap(bytes).or(IfAbsent::NoSwapAccounting))
        }
        (_, Some(MemorySwap::Unlimited)) => None,
        // A total alone says nothing of swap; `capacity` has refused it.
        (None, _) => None,
        // No swap at all.
        (Some(_), None) => Some(swap(0).or(IfAbsent::Ignore)),
    };
    memory.into_iter().chain(swap).collect()
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
    let Some(&first) = controllers.first() else {
        return Ok(None);
    };
    let denied = |controller| {
        move |source| Error::Denied {
            controller,
            parent: cgroup.to_owned(),
            source,
        }
    };
    // Who moves a process must be allowed to write to the second in the nearest cgroup that holds
    // both its old and its new one, which is this one ("Delegation Containment").
    for path in [cgroup.to_owned(), cgroup.join("cgroup.procs")] {
        if let Err(source) = writable(&path) {
            return Ok(Some(denied(first)(source)));
        }
    }
    let handed: Vec<_> = controllers
        .iter()
        .copied()
        .filter(|controller| !controller.is_built_into_v2())
        .collect();
    if handed.is_empty() {
        return Ok(None);
    }
    let given = listed(cgroup, "cgroup.controllers")?;
    let handed_down = listed(cgroup, "cgroup.subtree_control")?;
    for controller in handed {
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
            return Ok(Some(denied(controller)(source)));
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

/// Refuses to move a process from our own cgroup to `dir` where the kernel would, and says why.
///
/// # Errors
///
/// When the caller may not write to the nearest cgroup above both ("Delegation Containment").
pub(super) fn check_joinable(hierarchy: &Hierarchy, dir: &Path) -> Result<(), Error> {
    let above = dir
        .ancestors()
        .find(|cgroup| hierarchy.own.starts_with(cgroup))
        .filter(|cgroup| cgroup.starts_with(&hierarchy.top));
    let Some(above) = above else {
        return Ok(());
    };
    writable(&above.join("cgroup.procs")).map_err(|source| Error::NotJoinable {
        path: dir.to_owned(),
        above: above.to_owned(),
        source,
    })
}

fn listed(cgroup: &Path, file: &str) -> Result<Vec<Controller>, Error> {
    let text = read(cgroup, file)?;
    Ok(Controller::listed_v2(
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
        page_tables_bytes: stat.find("pagetables"),
        kvm_page_tables_bytes: stat.find("sec_pagetables"),
    })
}

/// How many processes of the cgroup `dir` the kernel killed for want of memory.
pub(super) fn oom_kills(dir: &Path) -> Result<u64, Error> {
    Keyed::read(dir, "memory.events")?.get("oom_kill")
}

/// Memory now, without the cached files that are not in use, in bytes.
pub(super) fn memory_bytes(dir: &Path) -> Result<u64, Error> {
    let inactive = Keyed::read(dir, "memory.stat")?.get("inactive_file")?;
    Ok(number(dir, "memory.current")?.saturating_sub(inactive))
}

/// The limit of memory in bytes, if it has one.
pub(super) fn memory_limit_bytes(dir: &Path) -> Result<Option<u64>, Error> {
    match read(dir, "memory.max")?.trim() {
        "max" => Ok(None),
        _ => number(dir, "memory.max").map(Some),
    }
}

/// Processor time so far, in nanoseconds.
pub(super) fn cpu_ns(dir: &Path) -> Result<u64, Error> {
    Ok(Keyed::read(dir, "cpu.stat")?
        .get("usage_usec")?
        .saturating_mul(1000))
}

/// What was read from block devices and written to them so far, in bytes.
pub(super) fn block_bytes(dir: &Path) -> Result<(u64, u64), Error> {
    // A line for each device: "8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0".
    let text = read(dir, "io.stat")?;
    let sum = |key: &str| {
        text.split_ascii_whitespace()
            .filter_map(|word| word.strip_prefix(key)?.parse::<u64>().ok())
            .sum()
    };
    Ok((sum("rbytes="), sum("wbytes=")))
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
            memory_swap: None,
            cpus: Some("1.5".parse().unwrap()),
            cpuset: Some("0-2".parse().unwrap()),
            pids: Some("7".parse().unwrap()),
        };
        for (controller, expected) in [
            (
                Controller::Memory,
                vec![
                    Setting::required("memory.max", 64 << 20),
                    Setting::required("memory.swap.max", 0).or(IfAbsent::Ignore),
                ],
            ),
            (
                Controller::Cpu,
                vec![Setting::required("cpu.max", "150000 100000")],
            ),
            (
                Controller::Cpuset,
                vec![Setting::required("cpuset.cpus", "0,1,2")],
            ),
            (Controller::Pids, vec![Setting::required("pids.max", 7)]),
            (Controller::Io, vec![]),
        ] {
            assert_eq!(settings(controller, &resources), expected);
            assert_eq!(settings(controller, &Resources::default()), []);
        }
    }

    #[test]
    fn swap_is_what_the_total_leaves_beside_memory() {
        let total = |size: &str| MemorySwap::Total(size.parse().unwrap());
        for (swap, expected) in [
            (total("96m"), Some(32 << 20)),
            (total("64m"), Some(0)),
            (MemorySwap::Unlimited, None),
        ] {
            let resources = Resources {
                memory: Some("64m".parse().unwrap()),
                memory_swap: Some(swap),
                ..Resources::default()
            };
            let settings = settings(Controller::Memory, &resources);
            let expected = expected.map(|bytes: u64| {
                Setting::required("memory.swap.max", bytes).or(IfAbsent::NoSwapAccounting)
            });
            assert_eq!(settings.get(1), expected.as_ref());
        }
    }

    #[test]
    fn usage_is_read_from_these_files() {
        let tree = FakeTree::v2("/");
        let dir = tree.dir(
            "c",
            &[
                ("memory.current", "1000\n"),
                ("memory.max", "max\n"),
                ("memory.stat", "anon 1\ninactive_file 300\n"),
                ("cpu.stat", "usage_usec 7\nuser_usec 3\n"),
                (
                    "io.stat",
                    "8:0 rbytes=10 wbytes=20 rios=1 wios=1\n8:16 rbytes=1 wbytes=2\n",
                ),
            ],
        );
        assert_eq!(memory_bytes(&dir).unwrap(), 700);
        assert_eq!(memory_limit_bytes(&dir).unwrap(), None);
        assert_eq!(cpu_ns(&dir).unwrap(), 7000);
        assert_eq!(block_bytes(&dir).unwrap(), (11, 22));
        fs::write(dir.join("memory.max"), "65536\n").unwrap();
        assert_eq!(memory_limit_bytes(&dir).unwrap(), Some(65536));
    }

    #[test]
    fn who_may_not_write_above_both_can_not_join() {
        let tree = FakeTree::v2("/user/session");
        tree.cgroup("user", "", "", "");
        tree.cgroup("user/session", "", "", "77\n");
        let dir = tree.cgroup("user/service/jaula-web", "", "", "");
        let check = || {
            let hierarchies = tree.hierarchies();
            check_joinable(hierarchies.v2().unwrap(), &dir)
        };
        check().unwrap();
        // Root may write to any file that is there.
        let above = tree.root().join("sys/fs/cgroup/user");
        fs::remove_file(above.join("cgroup.procs")).unwrap();
        let error = check().unwrap_err();
        assert!(
            matches!(&error, Error::NotJoinable { above: found, .. } if *found == above),
            "{error:?}"
        );
    }

    #[test]
    fn what_is_built_in_needs_no_controller_to_be_handed_down() {
        let tree = FakeTree::v2("/a");
        tree.cgroup("", "", "", "");
        let own = tree.cgroup("a", "", "", "77\n");
        let hierarchies = tree.hierarchies();
        let found = parent(
            hierarchies.v2().unwrap(),
            &[Controller::Freezer, Controller::Devices],
        );
        assert_eq!(found.unwrap(), own);
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
        for (kernel, kernel_bytes, page_tables_bytes, kvm_page_tables_bytes) in [
            ("kernel 100\nslab 1\n", 100, None, None),
            (
                "slab 10\nkernel_stack 20\npagetables 30\n",
                60,
                Some(30),
                None,
            ),
            (
                "kernel 100\npagetables 30\nsec_pagetables 40\n",
                100,
                Some(30),
                Some(40),
            ),
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
                kernel_bytes,
                page_tables_bytes,
                kvm_page_tables_bytes,
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
