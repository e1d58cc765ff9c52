//! `--pids-limit`.

use std::str::FromStr;

use launch::PidsLimit;

use super::Invalid;

/// A limit, or as docker writes that there is none: -1, or 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PidsLimitArg(pub Option<PidsLimit>);

impl FromStr for PidsLimitArg {
    type Err = Invalid;

    fn from_str(given: &str) -> Result<Self, Invalid> {
        if matches!(given, "-1" | "0") {
            return Ok(Self(None));
        }
        let limit = given.parse().map_err(|_| {
            Invalid::new("takes a whole number from 1 to 4194304, or -1 for no limit")
        })?;
        Ok(Self(Some(limit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_or_none() {
        for (given, expected) in [("-1", None), ("0", None), ("7", Some(7))] {
            let read = given.parse::<PidsLimitArg>().unwrap();
            assert_eq!(read.0.map(PidsLimit::get), expected, "{given}");
        }
        for given in ["", "-2", "1.5", "4194305", "x"] {
            assert!(given.parse::<PidsLimitArg>().is_err(), "{given}");
        }
    }
}
