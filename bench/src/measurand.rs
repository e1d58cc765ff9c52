use launch::ByteSize;

use crate::Metric;
use crate::statistics::Verdict;
use crate::units::{size, three_digits, time};

/// What a series has values of, which says how they are written and what less of it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measurand {
    /// How long something took, in nanoseconds.
    Duration,
    /// Processor time that was used, in nanoseconds.
    ProcessorTime,
    /// Memory that is charged, in bytes.
    Memory,
}

/// What a user typed is no amount of what it stands for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct InvalidAmount {
    /// What it should be.
    pub what: &'static str,
    why: String,
}

impl InvalidAmount {
    fn new(what: &'static str, why: impl std::error::Error) -> Self {
        let why = why.to_string();
        Self { what, why }
    }
}

impl Metric {
    /// What its values are.
    pub(crate) fn measurand(self) -> Measurand {
        match self {
            Self::Main | Self::Ready | Self::Exit | Self::Stop | Self::Gone => Measurand::Duration,
            Self::Idle | Self::Cpu => Measurand::ProcessorTime,
            Self::Memory => Measurand::Memory,
        }
    }
}

impl Measurand {
    /// The unit of the values, as programs are told it.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Duration | Self::ProcessorTime => "ns",
            Self::Memory => "bytes",
        }
    }

    /// A value for a person.
    pub(crate) fn amount(self, value: u64) -> String {
        match self {
            Self::Duration | Self::ProcessorTime => time(value),
            Self::Memory => size(value),
        }
    }

    /// A value as a user types it: "20ms", "64m".
    ///
    /// # Errors
    ///
    /// When it is none.
    pub(crate) fn typed(self, text: &str) -> Result<u64, InvalidAmount> {
        match self {
            Self::Duration | Self::ProcessorTime => humantime::parse_duration(text)
                .map(|it| u64::try_from(it.as_nanos()).unwrap_or(u64::MAX))
                .map_err(|error| InvalidAmount::new("stretch of time", error)),
            Self::Memory => text
                .parse()
                .map(|ByteSize(bytes)| bytes)
                .map_err(|error| InvalidAmount::new("number of bytes", error)),
        }
    }

    /// A difference of two values, with its sign.
    pub(crate) fn difference(self, difference: f64) -> String {
        let sign = if difference < 0.0 { '−' } else { '+' };
        format!("{sign}{}", self.amount(difference.abs().round() as u64))
    }

    /// What was shown, in words.
    pub(crate) fn word(self, verdict: Verdict) -> &'static str {
        match (self, verdict) {
            (Self::Duration, Verdict::Faster) => "faster",
            (Self::Duration, Verdict::Slower) => "slower",
            (Self::ProcessorTime | Self::Memory, Verdict::Faster) => "less",
            (Self::ProcessorTime | Self::Memory, Verdict::Slower) => "more",
            (_, Verdict::Equivalent) => "equivalent",
            (_, Verdict::Inconclusive) => "inconclusive",
            (_, Verdict::TooFewPairs) => "too few runs",
        }
    }

    /// The same, with how many times as much the one takes where it says that they differ.
    pub(crate) fn in_words(self, verdict: Verdict, ratio: Option<f64>) -> String {
        match (verdict, ratio) {
            (Verdict::Faster | Verdict::Slower, Some(ratio)) => {
                format!("{}, {} times", self.word(verdict), three_digits(ratio))
            }
            (verdict, _) => self.word(verdict).to_owned(),
        }
    }

    /// The end of a sentence that begins with who is meant and "is", or with "takes" where that is
    /// how one says it: how it compares with `reference`.
    pub(crate) fn sentence(
        self,
        verdict: Verdict,
        ratio: Option<f64>,
        reference: impl std::fmt::Display,
    ) -> String {
        let verb = match self {
            Self::Duration => "is",
            Self::ProcessorTime | Self::Memory => "takes",
        };
        let word = self.word(verdict);
        match (verdict, ratio) {
            (Verdict::Faster | Verdict::Slower, Some(ratio)) => format!(
                "{verb} {word} than the {reference}: {} times its median",
                three_digits(ratio)
            ),
            // Without a median there is no ratio either.
            (Verdict::Faster | Verdict::Slower, None) => {
                format!("{verb} {word} than the {reference}")
            }
            (Verdict::Equivalent, _) => match self {
                Self::Duration => format!("is as quick as the {reference}"),
                Self::ProcessorTime | Self::Memory => format!("takes as much as the {reference}"),
            },
            (Verdict::Inconclusive, _) => {
                let neither = match self {
                    Self::Duration => "neither faster nor slower",
                    Self::ProcessorTime | Self::Memory => "neither less nor more",
                };
                format!(
                    "{verb} {neither} than the {reference} as far as these runs show: inconclusive"
                )
            }
            (Verdict::TooFewPairs, _) => {
                format!("is not held against the {reference}: there are too few runs")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_in_their_unit_and_verdicts_in_their_words() {
        for (metric, amount, difference, words) in [
            (Metric::Exit, "3.15 ms", "−3.15 ms", "slower, 2.00 times"),
            (Metric::Cpu, "3.15 ms", "−3.15 ms", "more, 2.00 times"),
            (Metric::Memory, "3.0 MiB", "−3.0 MiB", "more, 2.00 times"),
        ] {
            let measurand = metric.measurand();
            assert_eq!(measurand.amount(3 << 20), amount);
            assert_eq!(measurand.difference(-f64::from(3 << 20)), difference);
            assert_eq!(measurand.in_words(Verdict::Slower, Some(2.0)), words);
        }
    }

    #[test]
    fn amounts_are_typed_in_their_unit() {
        assert_eq!(Measurand::Duration.typed("20ms"), Ok(20_000_000));
        // Five minutes, and five MiB.
        assert_eq!(Measurand::ProcessorTime.typed("5m"), Ok(300_000_000_000));
        assert_eq!(Measurand::Memory.typed("5m"), Ok(5 << 20));
        assert!(Measurand::Memory.typed("5s").is_err());
        assert!(Measurand::Duration.typed("5").is_err());
    }

    #[test]
    fn each_verdict_is_a_sentence_of_its_measurand() {
        for (measurand, verdict, ratio, expected) in [
            (
                Measurand::Duration,
                Verdict::Faster,
                Some(0.5),
                "is faster than the container: 0.50 times its median",
            ),
            (
                Measurand::Memory,
                Verdict::Slower,
                Some(31.2),
                "takes more than the container: 31.2 times its median",
            ),
            (
                Measurand::Memory,
                Verdict::Equivalent,
                Some(1.0),
                "takes as much as the container",
            ),
            (
                Measurand::ProcessorTime,
                Verdict::Inconclusive,
                Some(1.0),
                "takes neither less nor more than the container as far as these runs show: inconclusive",
            ),
            (
                Measurand::Memory,
                Verdict::TooFewPairs,
                None,
                "is not held against the container: there are too few runs",
            ),
        ] {
            assert_eq!(measurand.sentence(verdict, ratio, "container"), expected);
        }
    }
}
