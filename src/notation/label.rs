//! `--label`.

use std::str::FromStr;

use super::Invalid;

/// `NAME[=VALUE]`; without a value it is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Never empty.
    pub name: String,
    /// Anything.
    pub value: String,
}

impl FromStr for Label {
    type Err = Invalid;

    fn from_str(given: &str) -> Result<Self, Invalid> {
        let (name, value) = given.split_once('=').unwrap_or((given, ""));
        if name.is_empty() {
            return Err(Invalid::new("a label needs a name, as in NAME=value"));
        }
        Ok(Self {
            name: name.to_owned(),
            value: value.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_has_a_name_and_perhaps_a_value() {
        for (given, expected) in [
            ("a", Some(("a", ""))),
            ("a=", Some(("a", ""))),
            ("a=b=c", Some(("a", "b=c"))),
            ("", None),
            ("=b", None),
        ] {
            let label = given.parse::<Label>().ok();
            let label = label.as_ref().map(|l| (l.name.as_str(), l.value.as_str()));
            assert_eq!(label, expected, "{given}");
        }
    }
}
