use std::fmt;
use std::str::FromStr;

use super::Invalid;

/// docker's rule for the name of a volume: a letter or digit, and then at least one more of
/// these, `_`, `.` and `-`. So it is one component of a path, and never `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VolumeName(String);

impl VolumeName {
    /// Longest file name (`NAME_MAX`, `include/uapi/linux/limits.h`), less what is put in front
    /// of the name while the volume is made.
    const MAX_BYTES: usize = 240;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VolumeName {
    type Err = Invalid;

    fn from_str(given: &str) -> Result<Self, Invalid> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        let well_formed = (2..=Self::MAX_BYTES).contains(&given.len())
            && given.bytes().all(allowed)
            && given.starts_with(|first: char| first.is_ascii_alphanumeric());
        if !well_formed {
            return Err(Invalid::new(
                "a volume's name takes 2 to 240 letters, digits, '_', '.' or '-', the first a \
                 letter or digit; a directory begins with / or ./",
            ));
        }
        Ok(Self(given.to_owned()))
    }
}

impl fmt::Display for VolumeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_dockers() {
        for (given, allowed) in [
            ("data", true),
            ("d1", true),
            ("9.a_b-c", true),
            ("", false),
            ("d", false),
            (".hidden", false),
            ("..", false),
            ("-v", false),
            ("a/b", false),
            ("a b", false),
            ("ä1", false),
            (&"a".repeat(241), false),
        ] {
            assert_eq!(given.parse::<VolumeName>().is_ok(), allowed, "{given}");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_one_component_of_a_path(given in "\\PC*|[a-c./_-]*") {
            if let Ok(name) = given.parse::<VolumeName>() {
                let components: Vec<_> = std::path::Path::new(name.as_str()).components().collect();
                prop_assert!(matches!(components[..], [std::path::Component::Normal(_)]));
            }
        }
    }
}
