//! How much of the host's processors a process may use, as its cgroup says.

use std::fs;

/// In CPUs. It has to be limited.
pub fn cpu_quota(pid: &str) -> f64 {
    let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    cgroups.lines().find_map(quota_in).unwrap()
}

/// The limit in one of a process's cgroups: a line of `/proc/PID/cgroup`, `cgroups(7)`.
fn quota_in(line: &str) -> Option<f64> {
    let (_, of_tree) = line.split_once(':')?;
    let (controllers, path) = of_tree.split_once(':')?;
    let setting = |name: &str| {
        let dir = format!("/sys/fs/cgroup/{controllers}{path}");
        fs::read_to_string(format!("{dir}/{name}")).ok()
    };
    let max = match setting("cpu.max") {
        Some(max) => max,
        None => setting("cpu.cfs_quota_us")? + &setting("cpu.cfs_period_us")?,
    };
    let mut numbers = max.split_whitespace().map(str::parse::<f64>);
    Some(numbers.next()?.ok()? / numbers.next()?.ok()?)
}
