use std::fs;
use std::path::Path;

use launch::Finding;

use crate::cgroup::hierarchy::{Hierarchies, Version};
use crate::cgroup::parent::{parent, usable};
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
    let version = usable(hierarchies, controller)
        .and_then(|hierarchy| parent(hierarchy, &[controller]).map(|_| hierarchy.version));
    match version {
        Ok(Version::V1) => Finding::good(subject, "version 1"),
        Ok(Version::V2) => Finding::good(subject, "version 2"),
        Err(error) => {
            let lost = match controller {
                Controller::Memory => "footprints and limits of memory can't be had",
                Controller::Cpu => "limits of CPU time can't be had",
                Controller::Pids => "limits of processes can't be had",
                Controller::Cpuset => "CPUs can't be chosen",
                Controller::Io => "what is read and written can't be counted",
                Controller::CpuTime => "CPU time can't be counted",
                Controller::Freezer => "instances can't be frozen",
                Controller::Devices => "what may make device nodes may use all devices",
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

#[cfg(test)]
mod tests {
    use launch::Level;

    use super::*;
    use crate::cgroup::fake_tree::FakeTree;

    fn levels(tree: &FakeTree) -> Vec<(String, Level)> {
        findings(tree.root())
            .into_iter()
            .map(|finding| (finding.subject, finding.level))
            .collect()
    }

    fn expected(subjects: &[(&str, Level)]) -> Vec<(String, Level)> {
        subjects
            .iter()
            .map(|(subject, level)| ((*subject).to_owned(), *level))
            .collect()
    }

    #[test]
    fn each_controller_is_reported_by_itself() {
        let tree = FakeTree::v2("/s");
        tree.cgroup("", "cpu memory", "memory", "1\n");
        tree.cgroup("s", "memory", "memory", "");
        assert_eq!(
            levels(&tree),
            expected(&[
                ("cgroup memory", Level::Good),
                ("cgroup cpu", Level::Good),
                ("cgroup pids", Level::Note),
                ("cgroup cpuset", Level::Note),
                ("cgroup io", Level::Note),
                ("cgroup cpuacct", Level::Good),
                ("cgroup freezer", Level::Good),
                ("cgroup devices", Level::Good),
            ])
        );
    }

    #[test]
    fn what_can_not_be_used_comes_with_a_remedy() {
        let tree = FakeTree::new(
            &["30 24 0:26 /s /sys/fs/cgroup/s rw - cgroup2 cgroup2 rw"],
            &["0::/s"],
        );
        tree.cgroup("s", "cpu memory pids", "", "1\n");
        let built_in = ["cgroup cpuacct", "cgroup freezer", "cgroup devices"];
        for finding in findings(tree.root()) {
            if built_in.contains(&finding.subject.as_str()) {
                continue;
            }
            assert_eq!(finding.level, Level::Note, "{finding:?}");
            assert!(finding.remedy.is_some(), "{finding:?}");
        }
    }

    #[test]
    fn swap_that_is_not_accounted_for_is_noted_where_there_is_any() {
        for (swaps, found) in [
            ("Filename Type\n", false),
            ("Filename Type\n/dev/sda2 partition\n", true),
        ] {
            let tree = FakeTree::new(
                &["35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"],
                &["4:memory:/"],
            );
            tree.dir("sys/fs/cgroup/memory", &[]);
            tree.dir("proc", &[("swaps", swaps)]);
            let noted = levels(&tree).contains(&("cgroup swap".to_owned(), Level::Note));
            assert_eq!(noted, found, "{swaps}");
        }
    }
}
