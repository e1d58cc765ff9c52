use std::ffi::{CStr, CString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{
    Command, Device, InstanceId, Mount, Names, Network, Resources, Security, Ulimit, WindowSize,
};

/// A digest in hexadecimal: of an output, or of a root file system's contents and metadata.
///
/// One of a root is computed only by `guest-images`; it names what was made from it and is cached.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Digest(String);

impl Digest {
    /// A digest from its bytes.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Directories of the host that lie one on another: at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layers {
    top: PathBuf,
    below: Vec<PathBuf>,
}

impl Layers {
    /// `top` hides what is at the same paths in `below`, and each of those what is in the next.
    /// Where there is more than one, each marks what it removes from those below it as overlayfs
    /// does (`Documentation/filesystems/overlayfs.rst` of the kernel).
    pub fn new(top: PathBuf, below: Vec<PathBuf>) -> Self {
        Self { top, below }
    }

    /// From the topmost to the lowest.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Path> {
        std::iter::once(&self.top)
            .chain(&self.below)
            .map(PathBuf::as_path)
    }

    /// The directory, if it is the only one.
    pub fn only(&self) -> Option<&Path> {
        self.below.is_empty().then_some(&self.top)
    }

    /// The topmost directory, whose mode and owner are the root's.
    pub fn top(&self) -> &Path {
        &self.top
    }
}

impl From<PathBuf> for Layers {
    fn from(dir: PathBuf) -> Self {
        Self::new(dir, Vec::new())
    }
}

/// The unpacked image that both sides start from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootFs {
    /// The directories on the host that become `/`. Nothing is ever written to them.
    pub layers: Layers,
    /// What they held when the workload was made.
    pub digest: Digest,
    /// Whether the workload may not write to `/` at all; otherwise its writes are its own and
    /// are gone with the instance.
    pub read_only: bool,
}

/// A hostname that the kernel or the conventions of DNS would refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "hostname {0:?} is not allowed: it takes 1 to 64 letters, digits, '-' or '.', not starting or ending with '-' or '.'"
)]
pub struct InvalidHostname(String);

/// A hostname: at most 64 bytes (`HOST_NAME_MAX`, `gethostname(2)`), of what RFC 1123 allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hostname(CString);

impl Hostname {
    /// The name as a C string.
    pub fn as_c_str(&self) -> &CStr {
        &self.0
    }
}

impl FromStr for Hostname {
    type Err = InvalidHostname;

    fn from_str(name: &str) -> Result<Self, InvalidHostname> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
        let edge = |c: char| matches!(c, '-' | '.');
        let well_formed = (1..=64).contains(&name.len())
            && name.bytes().all(allowed)
            && !name.starts_with(edge)
            && !name.ends_with(edge);
        match CString::new(name) {
            Ok(name) if well_formed => Ok(Self(name)),
            _ => Err(InvalidHostname(name.to_owned())),
        }
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_string_lossy())
    }
}

/// What is to run: the same for both sides, and nothing that only one of them understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// The name the user gave; an instance without one makes its own.
    pub name: Option<InstanceId>,
    /// The file system it sees.
    pub root: RootFs,
    /// What is executed in it.
    pub command: Command,
    /// What `uname -n` says in it.
    pub hostname: Hostname,
    /// What it may use of the host.
    pub resources: Resources,
    /// What is mounted in its root, in this order.
    pub mounts: Vec<Mount>,
    /// The host's devices that it may use, beyond those that everybody has.
    pub devices: Vec<Device>,
    /// What it is connected to.
    pub network: Network,
    /// What it resolves names with.
    pub names: Names,
    /// What it may do beyond the rights of its user.
    pub security: Security,
    /// Limits of its processes; what is not named is as the launcher has it.
    pub ulimits: Vec<Ulimit>,
    /// Whether an init of ours is process 1, which reaps what nobody waits for and passes signals
    /// on, with the command as its child.
    pub init: bool,
    /// Whether others than the launcher's caller are to pause it and to watch what it uses. Its
    /// cgroup can do more then, which takes longer to make.
    pub supervised: bool,
    /// The size of the terminal that the command has instead of three streams; what is typed
    /// into it is read from the standard input that the launch is given, and what it shows is
    /// written to the standard output.
    pub terminal: Option<WindowSize>,
}

impl Workload {
    /// A command in a root, and otherwise what is usual.
    pub fn new(root: RootFs, command: Command, hostname: Hostname) -> Self {
        Self {
            name: None,
            root,
            command,
            hostname,
            resources: Resources::default(),
            mounts: Vec::new(),
            devices: Vec::new(),
            network: Network::default(),
            names: Names::default(),
            security: Security::default(),
            ulimits: Vec::new(),
            init: false,
            supervised: false,
            terminal: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostnames_are_those_of_rfc_1123() {
        for name in ["a", "web-1", "a.example", &"a".repeat(64)] {
            assert!(name.parse::<Hostname>().is_ok(), "{name:?}");
        }
        for name in ["", "-a", "a-", ".", "a_b", "a b", "a\0", &"a".repeat(65)] {
            assert!(name.parse::<Hostname>().is_err(), "{name:?}");
        }
    }
}
