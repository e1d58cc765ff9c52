use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Names in the order of their numbers, `include/uapi/linux/capability.h`.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// A capability that this Linux interface does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("capability {0:?} is unknown; it takes a name of capabilities(7), as in NET_ADMIN, or ALL")]
pub struct UnknownCapability(String);

/// One name of `capabilities(7)` or all of them, as docker's `--cap-add` takes it: in any case,
/// with `CAP_` or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapabilityName(CapabilitySet);

impl FromStr for CapabilityName {
    type Err = UnknownCapability;

    fn from_str(given: &str) -> Result<Self, UnknownCapability> {
        let upper = given.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        if name == "ALL" {
            return Ok(Self(CapabilitySet::ALL));
        }
        NAMES
            .iter()
            .position(|known| *known == name)
            .map(|number| Self(CapabilitySet(1 << number)))
            .ok_or_else(|| UnknownCapability(given.to_owned()))
    }
}

/// A set of capabilities, a bit for each number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapabilitySet(u64);

impl CapabilitySet {
    /// None.
    pub const NONE: Self = Self(0);
    /// All that have a name.
    pub const ALL: Self = Self((1 << NAMES.len()) - 1);
    /// Administration of the system, number 21.
    pub const SYS_ADMIN: Self = Self(1 << 21);

    /// Of these bits, those that have a name.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// The bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Those that `other` has not.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of `other` are in it.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// docker's `--cap-add` and `--cap-drop`: `ALL` first, then single names, so that
    /// `--cap-drop ALL --cap-add CHOWN` leaves one, whatever their order.
    #[must_use]
    pub fn changed(self, added: &[CapabilityName], dropped: &[CapabilityName]) -> Self {
        let all = CapabilityName(Self::ALL);
        let start = if added.contains(&all) {
            Self::ALL.0
        } else if dropped.contains(&all) {
            0
        } else {
            self.0
        };
        let single = |names: &[CapabilityName]| {
            names
                .iter()
                .filter(|name| **name != all)
                .fold(0, |bits, name| bits | name.0.0)
        };
        Self(start & !single(dropped) | single(added))
    }

    /// Whether the one of this name is in it.
    pub fn has(self, name: &str) -> bool {
        self.names().any(|has| has == name)
    }

    /// The names of those in it, as in `NET_ADMIN`.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES
            .iter()
            .enumerate()
            .filter(move |(number, _)| self.0 >> number & 1 == 1)
            .map(|(_, name)| *name)
    }
}

/// docker's default set (`oci/caps/defaults.go` of moby).
impl Default for CapabilitySet {
    fn default() -> Self {
        // CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW
        // SYS_CHROOT MKNOD AUDIT_WRITE SETFCAP
        Self(0xa804_25fb)
    }
}

impl fmt::Display for CapabilitySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join(","))
    }
}

/// Which system calls the command may make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seccomp {
    /// Those of the side's own profile: of a container, a list like docker's; of a VM, all, since
    /// they are calls to a kernel of its own.
    #[default]
    Default,
    /// All.
    Unconfined,
    /// Those of a profile in docker's JSON format, not looked at yet.
    Profile(String),
}

/// What the command may do beyond the rights of its user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Security {
    /// What root in the instance has, and what no one in it can get more than.
    pub capabilities: CapabilitySet,
    /// Which system calls it may make.
    pub seccomp: Seccomp,
    /// Whether `execve` never gives more rights (`PR_SET_NO_NEW_PRIVS`, `prctl(2)`).
    pub no_new_privileges: bool,
}

/// docker's, and no new privileges, which docker has as an option.
impl Default for Security {
    fn default() -> Self {
        Self {
            capabilities: CapabilitySet::default(),
            seccomp: Seccomp::Default,
            no_new_privileges: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<CapabilityName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn the_default_set_is_dockers() {
        assert_eq!(
            CapabilitySet::default().to_string(),
            "CHOWN,DAC_OVERRIDE,FOWNER,FSETID,KILL,SETGID,SETUID,SETPCAP,NET_BIND_SERVICE,\
             NET_RAW,SYS_CHROOT,MKNOD,AUDIT_WRITE,SETFCAP"
        );
    }

    #[test]
    fn capabilities_are_added_and_dropped_as_docker_does() {
        let default = CapabilitySet::default();
        for (added, dropped, expected) in [
            (&["NET_ADMIN"][..], &[][..], default.0 | 1 << 12),
            (
                &["cap_net_admin"],
                &["CAP_CHOWN"],
                (default.0 | 1 << 12) & !1,
            ),
            (&["CHOWN"], &["ALL"], 1),
            (&["ALL"], &["SYS_ADMIN"], CapabilitySet::ALL.0 & !(1 << 21)),
            (&[], &["all"], 0),
            (&["ALL"], &["ALL"], CapabilitySet::ALL.0),
        ] {
            assert_eq!(
                default.changed(&names(added), &names(dropped)).0,
                expected,
                "+{added:?} -{dropped:?}"
            );
        }
    }

    #[test]
    fn an_unknown_capability_is_refused() {
        for name in ["", "CAP_", "NET", "CAP_CAP_KILL", "CAP_40"] {
            assert!(name.parse::<CapabilityName>().is_err(), "{name:?}");
        }
    }
}
