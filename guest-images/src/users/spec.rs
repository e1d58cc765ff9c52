use std::str::FromStr;

/// Largest user or group ID that docker takes: 2^31 - 1.
const MAX_ID: u32 = i32::MAX.cast_unsigned();

/// A `-u` that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("user {given:?}: {why}")]
pub struct InvalidUserSpec {
    given: String,
    why: &'static str,
}

/// A user or group as it was given: a number is an ID, anything else a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NameOrId {
    Name(String),
    Id(u32),
}

/// docker's `-u`: a user's name or ID, and after a colon a group's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSpec {
    pub(super) user: NameOrId,
    pub(super) group: Option<NameOrId>,
}

impl UserSpec {
    /// User 0, whom a command runs as when nobody is asked for.
    pub const ROOT: Self = Self {
        user: NameOrId::Id(0),
        group: None,
    };
}

impl NameOrId {
    /// `takes` is said of an empty text.
    fn parse(text: &str, takes: &'static str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err(takes);
        }
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self::Name(text.to_owned()));
        }
        text.parse()
            .ok()
            .filter(|id| *id <= MAX_ID)
            .map(Self::Id)
            .ok_or("an ID is at most 2147483647")
    }
}

impl FromStr for UserSpec {
    type Err = InvalidUserSpec;

    fn from_str(given: &str) -> Result<Self, InvalidUserSpec> {
        let name_or_id = |text| {
            NameOrId::parse(text, "takes USER or USER:GROUP, by name or number").map_err(|why| {
                InvalidUserSpec {
                    given: given.to_owned(),
                    why,
                }
            })
        };
        let (user, group) = match given.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (given, None),
        };
        Ok(Self {
            user: name_or_id(user)?,
            group: group.map(name_or_id).transpose()?,
        })
    }
}

/// A `--group-add` that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("group {given:?}: {why}")]
pub struct InvalidGroupSpec {
    given: String,
    why: &'static str,
}

/// docker's `--group-add`: a group's name or ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSpec(pub(super) NameOrId);

impl FromStr for GroupSpec {
    type Err = InvalidGroupSpec;

    fn from_str(given: &str) -> Result<Self, InvalidGroupSpec> {
        NameOrId::parse(given, "takes GROUP, by name or number")
            .map(Self)
            .map_err(|why| InvalidGroupSpec {
                given: given.to_owned(),
                why,
            })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_is_an_id_and_anything_else_a_name() {
        for (given, user, group) in [
            ("0", NameOrId::Id(0), None),
            ("2147483647", NameOrId::Id(MAX_ID), None),
            ("web", NameOrId::Name("web".into()), None),
            ("-1", NameOrId::Name("-1".into()), None),
            ("1:2", NameOrId::Id(1), Some(NameOrId::Id(2))),
            (
                "a:b:c",
                NameOrId::Name("a".into()),
                Some(NameOrId::Name("b:c".into())),
            ),
        ] {
            assert_eq!(given.parse(), Ok(UserSpec { user, group }), "{given}");
        }
    }

    #[test]
    fn what_is_no_user_is_refused() {
        for given in [
            "",
            ":",
            ":0",
            "0:",
            "2147483648",
            "99999999999999999999",
            "a:4294967295",
        ] {
            assert!(given.parse::<UserSpec>().is_err(), "{given}");
        }
    }

    #[test]
    fn a_group_is_a_name_or_an_id() {
        for (given, group) in [
            ("0", Some(NameOrId::Id(0))),
            ("logs", Some(NameOrId::Name("logs".into()))),
            ("", None),
            ("2147483648", None),
        ] {
            assert_eq!(given.parse().ok(), group.map(GroupSpec), "{given}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(given: String) {
            let _ = given.parse::<UserSpec>();
        }
    }
}
