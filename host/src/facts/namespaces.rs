use std::fs;
use std::path::Path;

use launch::Finding;

/// A kind of namespace that a container enters.
struct Kind {
    /// As a user says it.
    name: &'static str,
    /// Its file in `/proc/self/ns`; missing where the kernel has none of the kind.
    file: &'static str,
    /// Its file in `/proc/sys/user`: how many there may be (namespaces(7)).
    limit: &'static str,
    /// The kernel's option for it.
    config: &'static str,
}

const KINDS: [Kind; 7] = [
    Kind {
        name: "user",
        file: "user",
        limit: "max_user_namespaces",
        config: "CONFIG_USER_NS",
    },
    Kind {
        name: "pid",
        file: "pid",
        limit: "max_pid_namespaces",
        config: "CONFIG_PID_NS",
    },
    Kind {
        name: "mount",
        file: "mnt",
        limit: "max_mnt_namespaces",
        config: "CONFIG_NAMESPACES",
    },
    Kind {
        name: "uts",
        file: "uts",
        limit: "max_uts_namespaces",
        config: "CONFIG_UTS_NS",
    },
    Kind {
        name: "ipc",
        file: "ipc",
        limit: "max_ipc_namespaces",
        config: "CONFIG_IPC_NS",
    },
    Kind {
        name: "net",
        file: "net",
        limit: "max_net_namespaces",
        config: "CONFIG_NET_NS",
    },
    Kind {
        name: "cgroup",
        file: "cgroup",
        limit: "max_cgroup_namespaces",
        config: "CONFIG_CGROUPS",
    },
];

/// `CAP_SYS_ADMIN`, include/uapi/linux/capability.h: makes all namespaces. Without it they can
/// only be made from within a user namespace.
const CAP_SYS_ADMIN: u32 = 21;

/// Whether each kind of namespace that a container is made of can be made by this process.
pub fn namespaces() -> Vec<Finding> {
    findings(Path::new("/proc"))
}

fn findings(proc: &Path) -> Vec<Finding> {
    let privileged = has_capability(proc, CAP_SYS_ADMIN);
    let mut findings: Vec<_> = KINDS
        .iter()
        // With privileges a container does without a user namespace.
        .filter(|kind| !(privileged && kind.name == "user"))
        .filter_map(|kind| kind.obstacle(proc))
        .collect();
    if !privileged {
        findings.extend(user_namespace_restriction(proc));
    }
    if findings.is_empty() {
        let names = KINDS.map(|kind| kind.name).join(", ");
        findings.push(Finding::good("namespaces", names));
    }
    findings
}

impl Kind {
    fn obstacle(&self, proc: &Path) -> Option<Finding> {
        let subject = format!("{} namespace", self.name);
        if !proc.join("self/ns").join(self.file).exists() {
            let detail = "this kernel has none";
            let remedy = format!("boot a kernel with {}", self.config);
            return Some(Finding::missing(subject, detail, remedy));
        }
        let limit = proc.join("sys/user").join(self.limit);
        if number(&limit) == Some(0) {
            let detail = format!("user.{} is 0, so none can be made", self.limit);
            let remedy = format!("sysctl user.{}=10000", self.limit);
            return Some(Finding::missing(subject, detail, remedy));
        }
        None
    }
}

/// What keeps ordinary users from making user namespaces, where the kernel would let them.
fn user_namespace_restriction(proc: &Path) -> Option<Finding> {
    // Debian's patch; other kernels lack the file.
    if number(&proc.join("sys/kernel/unprivileged_userns_clone")) == Some(0) {
        return Some(Finding::missing(
            "user namespace",
            "kernel.unprivileged_userns_clone is 0: only root can make one",
            "run as root, or sysctl kernel.unprivileged_userns_clone=1",
        ));
    }
    // Ubuntu's: one can be made, and has no capabilities in it.
    if number(&proc.join("sys/kernel/apparmor_restrict_unprivileged_userns")) == Some(1) {
        return Some(Finding::missing(
            "user namespace",
            "AppArmor lets only programs with a profile use one",
            "run as root, or sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ));
    }
    None
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Whether this process has the capability in effect: `CapEff` of proc_pid_status(5).
fn has_capability(proc: &Path, capability: u32) -> bool {
    let status = fs::read_to_string(proc.join("self/status")).unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & (1 << capability) != 0)
}

#[cfg(test)]
mod tests {
    use launch::Level;

    use super::*;

    /// A `/proc` with all namespaces, of a process with these capabilities.
    fn proc(capabilities: &str) -> tempfile::TempDir {
        let proc = tempfile::tempdir().unwrap();
        for dir in ["self/ns", "sys/user", "sys/kernel"] {
            fs::create_dir_all(proc.path().join(dir)).unwrap();
        }
        let status = format!("Name:\tx\nCapEff:\t{capabilities}\n");
        fs::write(proc.path().join("self/status"), status).unwrap();
        for kind in KINDS {
            fs::write(proc.path().join("self/ns").join(kind.file), "").unwrap();
            fs::write(proc.path().join("sys/user").join(kind.limit), "96365\n").unwrap();
        }
        proc
    }

    const ROOT: &str = "000001ffffffffff";
    const ORDINARY: &str = "0000000000000000";

    #[test]
    fn a_host_with_all_of_them_is_good() {
        for capabilities in [ROOT, ORDINARY] {
            let findings = findings(proc(capabilities).path());
            assert_eq!(findings.len(), 1);
            assert_eq!(findings[0].level, Level::Good);
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let proc = proc(ROOT);
        fs::remove_file(proc.path().join("self/ns/net")).unwrap();
        fs::write(proc.path().join("sys/user/max_pid_namespaces"), "0\n").unwrap();
        let subjects: Vec<_> = findings(proc.path())
            .into_iter()
            .map(|finding| (finding.subject, finding.level))
            .collect();
        let missing = |subject: &str| (subject.to_owned(), Level::Missing);
        assert_eq!(
            subjects,
            [missing("pid namespace"), missing("net namespace")]
        );
    }

    #[test]
    fn only_an_ordinary_user_needs_user_namespaces() {
        for (file, value) in [
            ("sys/user/max_user_namespaces", "0\n"),
            ("sys/kernel/unprivileged_userns_clone", "0\n"),
            ("sys/kernel/apparmor_restrict_unprivileged_userns", "1\n"),
        ] {
            for (capabilities, level) in [(ROOT, Level::Good), (ORDINARY, Level::Missing)] {
                let proc = proc(capabilities);
                fs::write(proc.path().join(file), value).unwrap();
                assert_eq!(findings(proc.path())[0].level, level, "{file}");
            }
        }
    }
}
