use std::fs;
use std::path::Path;

use launch::Finding;

use crate::cgroup::hierarchy::{Hierarchies, Version};
use crate::cgroup::{Controller, Error};

/// Which controllers there are, with which version of the interface, and whether we may use
/// them. None of it keeps an instance without limits from being launched.
pub fn cgroups() -> Vec<Finding> {
    findings(Path::new("/"))
}

fn findings(root: &Path) -> Vec<Finding> {
    let hierarchies = match Hierarchies::read(root) {
        Ok(hierarchies) => hierarchies,
        Err(error) => return vec![without("cgroup".into(), &error, "nothing is limited")],
    };
    let mut findings: Vec<_> = Controller::ALL
        .into_iter()
        .map(|controller| one(&hierarchies, controller))
        .collect();
    findings.extend(swap(root, &hierarchies));
    findings
}

fn one(hierarchies: &Hierarchies, controller: Controller) -> Finding {
    let subject = format!("cgroup {controller}");
    let usable = hierarchies
        .of(controller)
        .and_then(|hierarchy| Ok((hierarchy.version, hierarchy.parent(&[controller])?)));
    match usable {
        Ok((version, parent)) => {
            let version = match version {
                Version::V1 => 1,
                Version::V2 => 2,
            };
            Finding::good(
                subject,
                format!("version {version}, in {}", parent.display()),
            )
        }
        Err(error) => {
            let lost = match controller {
                Controller::Memory => "footprints and limits of memory can't be had",
                Controller::Cpu => "limits of CPU time can't be had",
                Controller::Pids => "limits of processes can't be had",
            };
            without(subject, &error, lost)
        }
    }
}

fn without(subject: String, error: &Error, lost: &str) -> Finding {
    let finding = Finding::note(subject, format!("{error}; {lost}"));
    match error.remedy() {
        Some(remedy) => finding.with_remedy(remedy),
        None => finding,
    }
}

/// A memory limit is meant to hold for memory and swap together, which takes a kernel that
/// accounts for swap, or a host without.
fn swap(root: &Path, hierarchies: &Hierarchies) -> Option<Finding> {
    let memory = hierarchies.of(Controller::Memory).ok()?;
    // The file is in every cgroup but version 2's root.
    let file = match memory.version {
        Version::V1 => "memory.memsw.limit_in_bytes",
        Version::V2 => "memory.swap.max",
    };
    let has_swap = fs::read_to_string(root.join("proc/swaps"))
        .is_ok_and(|swaps| swaps.lines().nth(1).is_some());
    let at_root = memory.version == Version::V2 && !memory.own.join("cgroup.type").exists();
    if !has_swap || at_root || memory.own.join(file).exists() {
        return None;
    }
    Some(
        Finding::note(
            "cgroup swap",
            "this kernel does not account for swap: a memory limit can be exceeded by swapping",
        )
        .with_remedy("boot with swapaccount=1, or without swap"),
    )
}
