//! What is particular to version 1: a hierarchy a controller.
//! (Documentation/admin-guide/cgroup-v1/)

use std::path::{Path, PathBuf};

use launch::{Charge, Footprint, Resources};

use super::control::{Keyed, number, writable};
use super::controller::Controller;
use super::error::Error;
use super::hierarchy::Hierarchy;
use super::plan::{CPU_PERIOD_US, Setting, cpu_quota_us};

/// The cgroup in which one with `controllers` can be made: our own.
pub(super) fn parent(hierarchy: &Hierarchy, controllers: &[Controller]) -> Result<PathBuf, Error> {
    let own = &hierarchy.own;
    match (writable(own), controllers.first()) {
        (Err(source), Some(&controller)) => Err(Error::Denied {
            controller,
            parent: own.clone(),
            source,
        }),
        _ => Ok(own.clone()),
    }
}

/// What is written to the instance's cgroup for `controller`'s limit, in this order.
pub(super) fn settings(controller: Controller, resources: &Resources) -> Vec<Setting> {
    match controller {
        Controller::Memory => resources.memory.map_or_else(Vec::new, |limit| {
            let bytes = limit.bytes().to_string();
            vec![
                Setting::required("memory.limit_in_bytes", &bytes),
                // Memory and swap together, so no swap at all. Must not be below the other
                // limit at any time, so it comes second. Absent without swap accounting.
                Setting::if_present("memory.memsw.limit_in_bytes", &bytes),
            ]
        }),
        Controller::Cpu => resources.cpus.map_or_else(Vec::new, |limit| {
            vec![
                Setting::required("cpu.cfs_period_us", CPU_PERIOD_US),
                Setting::required("cpu.cfs_quota_us", cpu_quota_us(limit)),
            ]
        }),
        Controller::Pids => resources.pids.map_or_else(Vec::new, |limit| {
            vec![Setting::required("pids.max", limit.get())]
        }),
    }
}

/// Reads the memory cgroup `dir`.
pub(super) fn footprint(dir: &Path) -> Result<Footprint, Error> {
    let stat = Keyed::read(dir, "memory.stat")?;
    // "cache" counts tmpfs and shared memory too, which can't be reclaimed without swap.
    let shmem = stat.get("total_shmem")?;
    Ok(Footprint {
        charge: Charge::CgroupV1,
        current_bytes: number(dir, "memory.usage_in_bytes")?,
        peak_bytes: number(dir, "memory.max_usage_in_bytes")?,
        anon_bytes: stat.get("total_rss")? + shmem,
        file_bytes: stat.get("total_cache")?.saturating_sub(shmem),
        kernel_bytes: number(dir, "memory.kmem.usage_in_bytes")?,
    })
}

/// How many processes of the memory cgroup `dir` the kernel killed for want of memory.
pub(super) fn oom_kills(dir: &Path) -> Result<u64, Error> {
    Keyed::read(dir, "memory.oom_control")?.get("oom_kill")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

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
                    Setting::required("memory.limit_in_bytes", 64 << 20),
                    Setting::if_present("memory.memsw.limit_in_bytes", 64 << 20),
                ],
            ),
            (
                Controller::Cpu,
                vec![
                    Setting::required("cpu.cfs_period_us", 100_000),
                    Setting::required("cpu.cfs_quota_us", 150_000),
                ],
            ),
            (Controller::Pids, vec![Setting::required("pids.max", 7)]),
        ] {
            assert_eq!(settings(controller, &resources), expected);
            assert_eq!(settings(controller, &Resources::default()), []);
        }
    }

    #[test]
    fn shared_memory_counts_as_anonymous() {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("memory.usage_in_bytes", "1000\n"),
            ("memory.max_usage_in_bytes", "2000\n"),
            ("memory.kmem.usage_in_bytes", "100\n"),
            (
                "memory.stat",
                "cache 1\nrss 1\ntotal_cache 300\ntotal_rss 500\ntotal_rss_huge 9\ntotal_shmem 50\n",
            ),
        ] {
            fs::write(dir.path().join(file), text).unwrap();
        }
        assert_eq!(
            footprint(dir.path()).unwrap(),
            Footprint {
                charge: Charge::CgroupV1,
                current_bytes: 1000,
                peak_bytes: 2000,
                anon_bytes: 550,
                file_bytes: 250,
                kernel_bytes: 100,
            }
        );
    }

    #[test]
    fn oom_kills_are_counted_by_the_kernel() {
        let dir = tempfile::tempdir().unwrap();
        let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        fs::write(dir.path().join("memory.oom_control"), text).unwrap();
        assert_eq!(oom_kills(dir.path()).unwrap(), 3);
    }
}
