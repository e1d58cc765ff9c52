//! What is particular to version 2: one hierarchy, whose controllers are handed down from cgroup
//! to cgroup. (Documentation/admin-guide/cgroup-v2.rst)

use std::io;
use std::path::{Path, PathBuf};

use launch::{Charge, Footprint, Resources};
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};

use super::control::{Keyed, number, read};
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

/// Whether this process may write to `path`, as its effective user.
pub(crate) fn writable(path: &Path) -> io::Result<()> {
    Ok(faccessat(
        AT_FDCWD,
        path,
        AccessFlags::W_OK,
        AtFlags::AT_EACCESS,
    )?)
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
