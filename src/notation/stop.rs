//! `--stop-timeout`.

use std::str::FromStr;
use std::time::Duration;

use super::Invalid;

/// How long a command that was told to stop may take, before it is killed: whole seconds, -1 for
/// as long as it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopTimeout {
    /// This long.
    After(Duration),
    /// It is never killed.
    Never,
}

impl StopTimeout {
    /// In seconds; negative for ever.
    pub fn seconds(self) -> i64 {
        match self {
            Self::After(timeout) => timeout.as_secs().cast_signed(),
            Self::Never => -1,
        }
    }
}

impl FromStr for StopTimeout {
    type Err = Invalid;

    fn from_str(given: &str) -> Result<Self, Invalid> {
        if given == "-1" {
            return Ok(Self::Never);
        }
        given
            .parse::<u32>()
            .map(|seconds| Self::After(Duration::from_secs(seconds.into())))
            .map_err(|_| Invalid::new("takes whole seconds, or -1 to wait for ever"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_seconds_or_none() {
        for (given, expected) in [
            ("0", Some(StopTimeout::After(Duration::ZERO))),
            ("10", Some(StopTimeout::After(Duration::from_secs(10)))),
            ("-1", Some(StopTimeout::Never)),
            ("-2", None),
            ("1.5", None),
            ("", None),
        ] {
            assert_eq!(given.parse().ok(), expected, "{given}");
        }
    }
}
