use std::fmt;
use std::str::FromStr;

/// Longest name that is taken, so that it fits into a directory's name with room to spare.
const MAX_NAME_BYTES: usize = 128;

/// A name that may not be used for an instance.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "name {0:?} is not allowed: it takes a letter or digit, then letters, digits, '_', '.' or '-', at most {MAX_NAME_BYTES}"
)]
pub struct InvalidName(String);

/// The name under which an instance's cgroup and directory are found.
///
/// docker's rule for names, so it is always a single path component and never `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(String);

impl InstanceId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InstanceId {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, InvalidName> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if starts_well && name.len() <= MAX_NAME_BYTES && name.chars().all(allowed) {
            Ok(Self(name.to_owned()))
        } else {
            Err(InvalidName(name.to_owned()))
        }
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_harmless_path_component() {
        for name in ["a", "web-1", "A.b_c", "0"] {
            assert!(name.parse::<InstanceId>().is_ok(), "{name:?}");
        }
        for name in ["", ".", "..", "a/b", "-a", "a b", "ä", &"a".repeat(129)] {
            assert!(name.parse::<InstanceId>().is_err(), "{name:?}");
        }
    }
}
