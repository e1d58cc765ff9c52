//! What is particular to version 1: a hierarchy a controller.
//! (Documentation/admin-guide/cgroup-v1/)

use std::iter;
use std::path::{Path, PathBuf};

use launch::{Charge, Footprint, MemoryLimit, MemorySwap, Resources};

use super::control::{Keyed, number, read, writable};
use super::controller::Controller;
use super::device::DeviceRules;
use super::error::Error;
use super::hierarchy::Hierarchy;
use super::setting::{CPU_PERIOD_US, IfAbsent, Setting, cpu_quota_us};

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

/// What is written to the instance's cgroup for `controller`, in this order.
pub(super) fn settings(
    controller: Controller,
    resources: &Resources,
    devices: Option<&DeviceRules>,
) -> Vec<Setting> {
    match controller {
        Controller::Memory => memory_settings(resources),
        Controller::Cpu => resources.cpus.map_or_else(Vec::new, |limit| {
            vec![
                Setting::required("cpu.cfs_period_us", CPU_PERIOD_US),
                Setting::required("cpu.cfs_quota_us", cpu_quota_us(limit)),
            ]
        }),
        Controller::Cpuset => resources
            .cpuset
            .iter()
            .map(|cpus| Setting::required("cpuset.cpus", cpus))
            .collect(),
        Controller::Pids => resources.pids.map_or_else(Vec::new, |limit| {
            vec![Setting::required("pids.max", limit.get())]
        }),
        Controller::Devices => devices.map_or_else(Vec::new, |rules| {
            let all = Setting::required("devices.deny", "a");
            let allow = |line| Setting::required("devices.allow", line);
            iter::once(all).chain(rules.lines().map(allow)).collect()
        }),
        Controller::Io | Controller::CpuTime | Controller::Freezer => Vec::new(),
    }
}

fn memory_settings(resources: &Resources) -> Vec<Setting> {
    let memory = resources
        .memory
        .map(|limit| Setting::required("memory.limit_in_bytes", limit.bytes()));
    // Memory and swap together. Must not be below the other limit at any time, so it comes second.
    let total =
        |limit: MemoryLimit| Setting::required("memory.memsw.limit_in_bytes", limit.bytes());
    let swap = match resources.memory_swap {
        Some(MemorySwap::Total(limit)) => Some(total(limit).or(IfAbsent::NoSwapAccounting)),
        Some(MemorySwap::Unlimited) => None,
        // No swap at all.
        None => resources
            .memory
            .map(|limit| total(limit).or(IfAbsent::Ignore)),
    };
    memory.into_iter().chain(swap).collect()
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
        page_tables_bytes: None,
        kvm_page_tables_bytes: None,
    })
}

/// How many processes of the memory cgroup `dir`, without those below, the kernel killed for want
/// of memory.
pub(super) fn oom_kills(dir: &Path) -> Result<u64, Error> {
    Keyed::read(dir, "memory.oom_control")?.get("oom_kill")
}

/// Memory now, without the cached files that are not in use, in bytes.
pub(super) fn memory_bytes(dir: &Path) -> Result<u64, Error> {
    let inactive = Keyed::read(dir, "memory.stat")?.get("total_inactive_file")?;
    Ok(number(dir, "memory.usage_in_bytes")?.saturating_sub(inactive))
}

/// The limit of memory in bytes, if it has one.
pub(super) fn memory_limit_bytes(dir: &Path) -> Result<Option<u64>, Error> {
    /// What is written as no limit: the largest number of whole pages in a signed 64-bit number
    /// (`PAGE_COUNTER_MAX`, include/linux/page_counter.h). Pages are of 64 KiB at most.
    const NO_LIMIT_BYTES: u64 = i64::MAX as u64 - (64 << 10) + 1;
    let limit = number(dir, "memory.limit_in_bytes")?;
    Ok((limit < NO_LIMIT_BYTES).then_some(limit))
}

/// Processor time so far, in nanoseconds.
pub(super) fn cpu_ns(dir: &Path) -> Result<u64, Error> {
    number(dir, "cpuacct.usage")
}

/// What was read from block devices and written to them so far, in bytes, but for what is written
/// from the page cache, which nobody is charged for. `None` if no device is listed: a kernel since
/// 6.10 counts nothing as long as nothing is throttled, and looks as if nothing had been read.
pub(super) fn block_bytes(dir: &Path) -> Result<Option<(u64, u64)>, Error> {
    // Lines "8:0 Read 4096", one for each device and direction, and a last line "Total 4096".
    let text = read(dir, "blkio.throttle.io_service_bytes_recursive")?;
    let sum = |direction: &str| {
        text.lines()
            .filter_map(|line| {
                let mut words = line.split_ascii_whitespace().skip(1);
                (words.next()? == direction).then(|| words.next()?.parse::<u64>().ok())?
            })
            .reduce(|sum, bytes| sum + bytes)
    };
    Ok(sum("Read").zip(sum("Write")))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn limit(bytes: &str) -> MemoryLimit {
        bytes.parse().unwrap()
    }

    #[test]
    fn limits_become_these_files() {
        let resources = Resources {
            memory: Some(limit("64m")),
            memory_swap: None,
            cpus: Some("1.5".parse().unwrap()),
            cpuset: Some("0-2".parse().unwrap()),
            pids: Some("7".parse().unwrap()),
        };
        for (controller, expected) in [
            (
                Controller::Memory,
                vec![
                    Setting::required("memory.limit_in_bytes", 64 << 20),
                    Setting::required("memory.memsw.limit_in_bytes", 64 << 20).or(IfAbsent::Ignore),
                ],
            ),
            (
                Controller::Cpu,
                vec![
                    Setting::required("cpu.cfs_period_us", 100_000),
                    Setting::required("cpu.cfs_quota_us", 150_000),
                ],
            ),
            (
                Controller::Cpuset,
                vec![Setting::required("cpuset.cpus", "0,1,2")],
            ),
            (Controller::Pids, vec![Setting::required("pids.max", 7)]),
            (Controller::Io, vec![]),
        ] {
            assert_eq!(settings(controller, &resources, None), expected);
            assert_eq!(settings(controller, &Resources::default(), None), []);
        }
    }

    #[test]
    fn swap_is_limited_together_with_memory() {
        let total = Setting::required("memory.memsw.limit_in_bytes", 96 << 20);
        for (swap, expected) in [
            (
                MemorySwap::Total(limit("96m")),
                Some(total.or(IfAbsent::NoSwapAccounting)),
            ),
            (MemorySwap::Unlimited, None),
        ] {
            let resources = Resources {
                memory: Some(limit("64m")),
                memory_swap: Some(swap),
                ..Resources::default()
            };
            let settings = settings(Controller::Memory, &resources, None);
            assert_eq!(settings.get(1), expected.as_ref());
        }
    }

    #[test]
    fn devices_are_denied_before_some_are_allowed() {
        let rules = DeviceRules::usual();
        let settings = settings(Controller::Devices, &Resources::default(), Some(&rules));
        assert_eq!(settings[0], Setting::required("devices.deny", "a"));
        let allow = |setting: &Setting| setting.file == "devices.allow";
        assert!(settings.len() > 1 && settings[1..].iter().all(allow));
    }

    #[test]
    fn usage_is_read_from_these_files() {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("memory.usage_in_bytes", "1000\n"),
            ("memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory.stat", "inactive_file 1\ntotal_inactive_file 300\n"),
            ("cpuacct.usage", "12345\n"),
            (
                "blkio.throttle.io_service_bytes_recursive",
                "8:0 Read 10\n8:0 Write 20\n8:0 Total 30\n8:16 Read 1\n8:16 Write 2\nTotal 33\n",
            ),
        ] {
            fs::write(dir.path().join(file), text).unwrap();
        }
        assert_eq!(memory_bytes(dir.path()).unwrap(), 700);
        assert_eq!(memory_limit_bytes(dir.path()).unwrap(), None);
        assert_eq!(cpu_ns(dir.path()).unwrap(), 12345);
        assert_eq!(block_bytes(dir.path()).unwrap(), Some((11, 22)));
        let uncounted = "blkio.throttle.io_service_bytes_recursive";
        fs::write(dir.path().join(uncounted), "Total 0\n").unwrap();
        assert_eq!(block_bytes(dir.path()).unwrap(), None);
        fs::write(dir.path().join("memory.limit_in_bytes"), "65536\n").unwrap();
        assert_eq!(memory_limit_bytes(dir.path()).unwrap(), Some(65536));
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
                page_tables_bytes: None,
                kvm_page_tables_bytes: None,
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
