use serde::{Deserialize, Serialize};

use super::Interval;

/// What differs by less than this share of the reference's median counts as the same.
pub const MARGIN: f64 = 0.05;

/// A p of the Mann-Whitney test below this shows a difference: where there is none, one is seen in
/// at most this share of all comparisons.
pub const SIGNIFICANCE: f64 = 0.05;

/// With fewer pairs nothing is said: the interval of a median of five values is as wide as they are
/// apart, and still holds the true one in less than 95 % of all series.
pub const MIN_PAIRS: usize = 6;

/// What was shown about a series that was held against another. How it is said depends on what the
/// values are: memory is not faster, but less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It takes less.
    Faster,
    /// It takes more.
    Slower,
    /// What it takes differs by less than [`MARGIN`], whether or not it differs.
    Equivalent,
    /// Nothing of that was shown.
    Inconclusive,
    /// There were fewer than [`MIN_PAIRS`].
    TooFewPairs,
}

/// What a verdict is made from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// How many pairs there were.
    pub pairs: usize,
    /// Where the median of the paired difference lies.
    pub interval: Interval,
    /// The p of the Mann-Whitney test.
    pub p: f64,
    /// The smallest difference that counts, in the same unit as the interval.
    pub margin: f64,
}

impl Evidence {
    /// A difference has to be seen both ways: by the pairs, which are blind to what disturbs both
    /// of a pair, and by the test, which keeps its promise also when there are few.
    pub fn verdict(&self) -> Verdict {
        if self.pairs < MIN_PAIRS {
            Verdict::TooFewPairs
        } else if self.interval.is_within(self.margin) {
            Verdict::Equivalent
        } else if self.p >= SIGNIFICANCE || !self.interval.excludes_zero() {
            Verdict::Inconclusive
        } else if self.interval.high < 0.0 {
            Verdict::Faster
        } else {
            Verdict::Slower
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_that_take_nothing_at_all_are_equivalent() {
        let evidence = Evidence {
            pairs: 10,
            interval: Interval {
                low: 0.0,
                high: 0.0,
            },
            p: 1.0,
            margin: 0.0,
        };
        assert_eq!(evidence.verdict(), Verdict::Equivalent);
    }

    #[test]
    fn each_verdict_has_its_evidence() {
        for (pairs, low, high, p, verdict) in [
            (10, 20.0, 30.0, 0.001, Verdict::Slower),
            (10, -30.0, -20.0, 0.001, Verdict::Faster),
            (10, -3.0, 4.0, 0.9, Verdict::Equivalent),
            // A difference that is sure and small is none that counts.
            (10, 1.0, 2.0, 0.001, Verdict::Equivalent),
            (10, -3.0, 6.0, 0.001, Verdict::Inconclusive),
            (10, 20.0, 30.0, 0.05, Verdict::Inconclusive),
            (10, 4.0, 6.0, 0.001, Verdict::Slower),
            (5, 20.0, 30.0, 0.001, Verdict::TooFewPairs),
            (5, 0.0, 0.0, 1.0, Verdict::TooFewPairs),
        ] {
            let evidence = Evidence {
                pairs,
                interval: Interval { low, high },
                p,
                margin: 5.0,
            };
            assert_eq!(evidence.verdict(), verdict, "{evidence:?}");
        }
    }
}
