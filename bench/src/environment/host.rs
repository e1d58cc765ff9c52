use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// What of the host bears on figures beyond its processor and its kernel. What the kernel does not
/// tell is `None`, or not in the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Whether the host is itself a virtual machine: CPUID's hypervisor bit.
    pub is_virtual_machine: bool,
    /// Flaws of the processor, and what the kernel does about each
    /// (`/sys/devices/system/cpu/vulnerabilities`).
    pub mitigations: BTreeMap<String, String>,
    /// Who decides how fast the processor runs.
    pub governor: Option<String>,
    /// The cgroup file systems, with their mount options.
    pub cgroups: Vec<CgroupMount>,
    /// When memory comes in huge pages: `always`, `madvise` or `never`.
    pub transparent_huge_pages: Option<String>,
    /// Whether equal pages of processes are merged (KSM).
    pub merges_pages: Option<bool>,
    /// How many processes ran or wanted to, in the minute before, in thousandths: the load average. For
    /// all workloads of a suite, before the first.
    pub load_milli: Option<u32>,
}

/// A cgroup file system that is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupMount {
    /// `cgroup` for version 1, `cgroup2` for version 2.
    pub file_system: String,
    /// Its options; with version 1 the controllers are among them.
    pub options: String,
}

impl HostFacts {
    /// Reads the facts below `root`, which is `/` but in tests.
    pub(super) fn read(root: &Path) -> Self {
        let text = |path: &str| fs::read_to_string(root.join(path)).ok();
        let word = |path: &str| text(path).map(|text| text.trim().to_owned());
        Self {
            is_virtual_machine: text("proc/cpuinfo").is_some_and(|it| has_hypervisor_bit(&it)),
            mitigations: mitigations(&root.join("sys/devices/system/cpu/vulnerabilities")),
            governor: word("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            cgroups: text("proc/self/mounts").map_or_else(Vec::new, |it| cgroups(&it)),
            transparent_huge_pages: text("sys/kernel/mm/transparent_hugepage/enabled")
                .and_then(|text| chosen(&text)),
            merges_pages: word("sys/kernel/mm/ksm/run").map(|run| run == "1"),
            load_milli: text("proc/loadavg").and_then(|text| load_milli(&text)),
        }
    }
}

fn has_hypervisor_bit(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().filter(|line| line.starts_with("flags"));
    flags
        .flat_map(str::split_whitespace)
        .any(|flag| flag == "hypervisor")
}

fn mitigations(dir: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let state = fs::read_to_string(entry.path()).ok()?;
            let name = entry.file_name().into_string().ok()?;
            Some((name, state.trim().to_owned()))
        })
        .collect()
}

/// Of `/proc/self/mounts`: device, directory, type, options, and two numbers.
fn cgroups(mounts: &str) -> Vec<CgroupMount> {
    let of_line = |line: &str| {
        let mut words = line.split(' ').skip(2);
        let (file_system, options) = (words.next()?, words.next()?);
        matches!(file_system, "cgroup" | "cgroup2").then(|| CgroupMount {
            file_system: file_system.to_owned(),
            options: options.to_owned(),
        })
    };
    mounts.lines().filter_map(of_line).collect()
}

/// The word in brackets.
fn chosen(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    let (chosen, _) = rest.split_once(']')?;
    Some(chosen.to_owned())
}

fn load_milli(loadavg: &str) -> Option<u32> {
    let load: f64 = loadavg.split(' ').next()?.parse().ok()?;
    Some((load * 1000.0).round() as u32)
}

/// In one line, for people.
impl fmt::Display for HostFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.is_virtual_machine {
            true => "itself a virtual machine",
            false => "no virtual machine itself, as far as it tells",
        })?;
        let vulnerable = self.mitigations.values();
        let vulnerable = vulnerable.filter(|it| it.starts_with("Vulnerable")).count();
        match (self.mitigations.len(), vulnerable) {
            (0, _) => f.write_str(", mitigations not told")?,
            (_, 0) => f.write_str(", all mitigations on")?,
            (known, _) => write!(f, ", {vulnerable} of {known} flaws not mitigated")?,
        }
        write!(
            f,
            ", governor {}",
            self.governor.as_deref().unwrap_or("not told")
        )?;
        if let Some(pages) = &self.transparent_huge_pages {
            write!(f, ", transparent huge pages {pages}")?;
        }
        match self.merges_pages {
            Some(true) => f.write_str(", KSM on")?,
            Some(false) => f.write_str(", KSM off")?,
            None => {}
        }
        match self.load_milli {
            Some(load) => write!(f, ", load {:.2} before", f64::from(load) / 1000.0),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(files: &[(&str, &str)]) -> HostFacts {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        HostFacts::read(root.path())
    }

    #[test]
    fn what_a_kernel_tells_is_read() {
        let host = host(&[
            (
                "proc/cpuinfo",
                "processor: 0\nflags\t\t: fpu hypervisor svm\n",
            ),
            ("proc/loadavg", "0.50 0.40 0.30 1/100 4242\n"),
            (
                "proc/self/mounts",
                "proc /proc proc rw 0 0\n\
                 cgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate,favordynmods 0 0\n",
            ),
            (
                "sys/devices/system/cpu/vulnerabilities/l1tf",
                "Not affected\n",
            ),
            ("sys/devices/system/cpu/vulnerabilities/mds", "Vulnerable\n"),
            (
                "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
                "performance\n",
            ),
            (
                "sys/kernel/mm/transparent_hugepage/enabled",
                "always [madvise] never\n",
            ),
            ("sys/kernel/mm/ksm/run", "0\n"),
        ]);
        assert_eq!(
            host.to_string(),
            "itself a virtual machine, 1 of 2 flaws not mitigated, governor performance, \
             transparent huge pages madvise, KSM off, load 0.50 before"
        );
        let cgroup = CgroupMount {
            file_system: "cgroup2".into(),
            options: "rw,nsdelegate,favordynmods".into(),
        };
        assert_eq!(host.cgroups, [cgroup]);
    }

    #[test]
    fn what_it_does_not_tell_is_not_made_up() {
        let host = host(&[]);
        assert_eq!(host, HostFacts::default());
        assert_eq!(
            host.to_string(),
            "no virtual machine itself, as far as it tells, mitigations not told, \
             governor not told"
        );
    }
}
