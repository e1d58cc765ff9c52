//! `--stop-signal` and `--stop-timeout`.

use std::str::FromStr;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::Invalid;

/// A signal by its name, with or without `SIG` and in any case, or by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopSignal(pub Signal);

impl FromStr for StopSignal {
    type Err = Invalid;

    fn from_str(given: &str) -> Result<Self, Invalid> {
        let upper = given.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let signal = match name.parse::<i32>() {
            Ok(number) => Signal::try_from(number),
            Err(_) => format!("SIG{name}").parse(),
        };
        signal
            .map(Self)
            .map_err(|_| Invalid::new("takes a signal of signal(7), as in TERM or 15"))
    }
}

/// How long a command that was told to stop may take, before it is killed: whole seconds, -1 for
/// as long as it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopTimeout {
    /// This long.
    After(Duration),
    /// It is never killed.
    Never,
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
    fn a_signal_is_a_name_or_a_number() {
        for (given, expected) in [
            ("TERM", Some(Signal::SIGTERM)),
            ("SIGTERM", Some(Signal::SIGTERM)),
            ("sigint", Some(Signal::SIGINT)),
            ("usr1", Some(Signal::SIGUSR1)),
            ("9", Some(Signal::SIGKILL)),
            ("", None),
            ("SIG", None),
            ("0", None),
            ("-9", None),
            ("99", None),
            ("STOPPED", None),
            ("SIGSIGTERM", None),
        ] {
            let signal = given.parse::<StopSignal>().ok().map(|arg| arg.0);
            assert_eq!(signal, expected, "{given}");
        }
    }

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
