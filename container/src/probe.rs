use std::fs;

use entry::{Ids, Privileges};
use launch::{Chain, Credentials, Finding, Level};

use crate::namespaces::{Namespaces, privileges};
use crate::network::NetworkNamespace;
use crate::process;

/// What containers need of the host.
pub(crate) fn findings() -> Vec<Finding> {
    let trial = trial();
    // Why not, where the host says so.
    let obstacles = match trial.level {
        Level::Missing => host::facts::namespaces(),
        Level::Good | Level::Note => Vec::new(),
    };
    let mut findings = vec![trial];
    findings.extend(
        obstacles
            .into_iter()
            .filter(|obstacle| obstacle.level == Level::Missing),
    );
    findings.push(overlay());
    if privileges() != Privileges::Root {
        findings.push(network::user_mode_finding());
    }
    findings.extend(host::facts::cgroups());
    findings
}

/// Whether namespaces can be made, found out by making them: kernels and distributions have many
/// ways to forbid it.
fn trial() -> Finding {
    let subject = "namespaces";
    let privileges = privileges();
    let made = match privileges {
        Privileges::Root => "pid, mount, uts, ipc, net and cgroup can be made",
        Privileges::UserNamespace(Ids::Many) => {
            "pid, mount, uts, ipc, net and cgroup can be made in a user namespace with many users"
        }
        Privileges::UserNamespace(Ids::One) => {
            "pid, mount, uts, ipc, net and cgroup can be made in a user namespace"
        }
    };
    let namespaces = Namespaces::new(privileges, &Credentials::default(), NetworkNamespace::New);
    match process::try_namespaces(&namespaces) {
        Ok(()) => Finding::good(subject, made),
        Err(error) => {
            let remedy = error.remedy().unwrap_or("run as root");
            Finding::missing(subject, Chain(&error).to_string(), remedy)
        }
    }
}

fn overlay() -> Finding {
    let subject = "overlayfs";
    match fs::read_to_string("/proc/filesystems") {
        Ok(list) if has_overlay(&list) => Finding::good(subject, "the kernel has it"),
        // The kernel loads it when it is first mounted, if there is a module.
        Ok(_) => Finding::note(subject, "not loaded yet").with_remedy("modprobe overlay"),
        Err(error) => Finding::missing(
            subject,
            format!("can't read /proc/filesystems: {error}"),
            "mount /proc",
        ),
    }
}

fn has_overlay(filesystems: &str) -> bool {
    filesystems
        .lines()
        .any(|line| line.split_whitespace().next_back() == Some("overlay"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlayfs_is_found_by_its_whole_name() {
        assert!(has_overlay("nodev\tproc\n\text4\nnodev\toverlay\n"));
        assert!(!has_overlay("nodev\toverlayish\n"));
        assert!(!has_overlay(""));
    }

    #[test]
    fn the_trial_says_whether_namespaces_can_be_made() {
        let finding = trial();
        assert_eq!(finding.subject, "namespaces");
        assert!(!finding.detail.is_empty());
    }
}
