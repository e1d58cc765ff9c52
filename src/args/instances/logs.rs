//! `jaula logs`.

use std::str::FromStr;
use std::time::SystemTime;

use clap::Args;

use super::since::moment;

#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Go on with what it says until it ends
    #[arg(short, long)]
    pub follow: bool,

    /// Put the time in front of each line
    #[arg(short, long)]
    pub timestamps: bool,

    /// Begin with the last lines, so many, or all
    #[arg(
        short = 'n',
        long,
        value_name = "LINES",
        default_value = "all",
        allow_hyphen_values = true
    )]
    pub tail: Tail,

    /// Begin at this time: as in 2026-01-02T03:04:05Z, in seconds since 1970, or as in 10m for
    /// ten minutes ago
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<SystemTime>,

    /// Name, ID, or the beginning of an ID that no other has
    #[arg(value_name = "INSTANCE")]
    pub name: String,
}

/// How many lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// All there are.
    All,
    /// The last ones.
    Last(usize),
}

/// What is no number of lines.
#[derive(Debug, Clone, thiserror::Error)]
#[error("takes a number of lines, or all")]
pub struct InvalidTail;

/// docker's: a negative number is all.
impl FromStr for Tail {
    type Err = InvalidTail;

    fn from_str(given: &str) -> Result<Self, InvalidTail> {
        if given == "all" {
            return Ok(Self::All);
        }
        match given.parse::<i64>() {
            Ok(lines) => Ok(usize::try_from(lines).map_or(Self::All, Self::Last)),
            Err(_) => Err(InvalidTail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_a_number_or_all() {
        for (given, expected) in [
            ("all", Some(Tail::All)),
            ("0", Some(Tail::Last(0))),
            ("12", Some(Tail::Last(12))),
            ("-1", Some(Tail::All)),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(given.parse().ok(), expected, "{given}");
        }
    }
}
