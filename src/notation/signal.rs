//! Signals.

use std::str::FromStr;

use nix::sys::signal::Signal;

use super::Invalid;

/// The first real-time signal that a program may use, and the last: `SIGRTMIN` and `SIGRTMAX` of
/// glibc and musl, which keep the two below for themselves (`signal(7)`).
const RTMIN: u8 = 34;
const RTMAX: u8 = 64;

/// A signal's number, from 1 to 64: those of `signal(7)` and real-time ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalNumber(pub u8);

/// A name with or without `SIG`, in any case, or a number.
impl FromStr for SignalNumber {
    type Err = Invalid;

    fn from_str(given: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new("takes a signal of signal(7), as in TERM, 15 or RTMIN+3");
        let upper = given.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let from = |start: &str| {
            let rest = name.strip_prefix(start)?;
            match rest.as_bytes() {
                [] => Some(0),
                [b'+' | b'-', b'0'..=b'9', ..] => rest.parse::<i16>().ok(),
                _ => None,
            }
        };
        let number = if let Ok(number) = name.parse::<i16>() {
            number
        } else if let Some(offset) = from("RTMIN").filter(|offset| *offset >= 0) {
            i16::from(RTMIN).saturating_add(offset)
        } else if let Some(offset) = from("RTMAX").filter(|offset| *offset <= 0) {
            i16::from(RTMAX).saturating_add(offset)
        } else {
            format!("SIG{name}")
                .parse::<Signal>()
                .map_err(|_| invalid())? as i16
        };
        u8::try_from(number)
            .ok()
            .filter(|number| (1..=RTMAX).contains(number))
            .map(Self)
            .ok_or_else(invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_a_name_or_a_number() {
        for (given, expected) in [
            ("TERM", Some(15)),
            ("SIGTERM", Some(15)),
            ("sigint", Some(2)),
            ("9", Some(9)),
            ("64", Some(64)),
            ("SIGRTMIN+3", Some(37)),
            ("RTMIN", Some(34)),
            ("RTMAX-1", Some(63)),
            ("RTMAX+1", None),
            ("RTMIN-1", None),
            ("RTMIN+99", None),
            ("RTMIN+", None),
            ("", None),
            ("SIG", None),
            ("0", None),
            ("-9", None),
            ("65", None),
            ("STOPPED", None),
            ("SIGSIGTERM", None),
        ] {
            let number = given.parse::<SignalNumber>().ok().map(|signal| signal.0);
            assert_eq!(number, expected, "{given}");
        }
    }
}
