//! `jaula ps`.

use std::str::FromStr;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub struct PsArgs {
    /// List those that have ended, too
    #[arg(short, long)]
    pub all: bool,

    /// Print IDs only
    #[arg(short, long)]
    pub quiet: bool,

    /// Cut nothing off
    #[arg(long)]
    pub no_trunc: bool,

    /// List only some: name=PART, id=BEGINNING, label=NAME[=VALUE], status=running|paused|exited,
    /// exited=CODE
    #[arg(short, long, value_name = "FILTER")]
    pub filter: Vec<Filter>,

    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// How something is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns under their heads
    Table,
    /// A line of JSON each
    Json,
}

/// What state an instance is in, in docker's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateName {
    Running,
    Paused,
    Exited,
}

impl StateName {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Exited => "exited",
        }
    }
}

/// What an instance has to be like to be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Its name holds this.
    Name(String),
    /// Its ID begins so.
    Id(String),
    /// It has this label, with this value if one is given.
    Label(String, Option<String>),
    /// It is in this state.
    Status(StateName),
    /// It has ended with this code.
    Exited(u8),
}

/// What filters nothing that there is.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "takes name=PART, id=BEGINNING, label=NAME[=VALUE], status=running|paused|exited or exited=CODE"
)]
pub struct InvalidFilter;

impl FromStr for Filter {
    type Err = InvalidFilter;

    fn from_str(given: &str) -> Result<Self, InvalidFilter> {
        let (what, value) = given.split_once('=').ok_or(InvalidFilter)?;
        Ok(match what {
            "name" => Self::Name(value.to_owned()),
            "id" => Self::Id(value.to_owned()),
            "label" => match value.split_once('=') {
                Some((name, value)) => Self::Label(name.to_owned(), Some(value.to_owned())),
                None => Self::Label(value.to_owned(), None),
            },
            "status" => Self::Status(
                [StateName::Running, StateName::Paused, StateName::Exited]
                    .into_iter()
                    .find(|state| state.as_str() == value)
                    .ok_or(InvalidFilter)?,
            ),
            "exited" => Self::Exited(value.parse().map_err(|_| InvalidFilter)?),
            _ => return Err(InvalidFilter),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_says_of_what_it_speaks() {
        for (given, expected) in [
            ("name=web", Some(Filter::Name("web".into()))),
            ("id=ab", Some(Filter::Id("ab".into()))),
            ("label=a", Some(Filter::Label("a".into(), None))),
            (
                "label=a=b=c",
                Some(Filter::Label("a".into(), Some("b=c".into()))),
            ),
            ("status=exited", Some(Filter::Status(StateName::Exited))),
            ("status=dead", None),
            ("exited=3", Some(Filter::Exited(3))),
            ("exited=300", None),
            ("web", None),
            ("ancestor=busybox", None),
        ] {
            assert_eq!(given.parse().ok(), expected, "{given}");
        }
    }
}
