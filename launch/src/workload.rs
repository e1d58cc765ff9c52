use std::ffi::{CStr, CString};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Command, InstanceId, Resources};

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

/// The unpacked image that both sides start from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootFs {
    /// The directory on the host that becomes `/`. Nothing is ever written to it.
    pub dir: PathBuf,
    /// What it held when the workload was made.
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
