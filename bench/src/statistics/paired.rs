use serde::{Deserialize, Serialize};

use super::median::ratio_of_medians;
use super::{Evidence, Interval, MARGIN, Random, Verdict, bootstrap, mann_whitney, median};

/// A series held against a reference, run by run. All is in the unit of its values: nanoseconds, or
/// bytes of memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairedComparison {
    /// How many pairs there are: of runs in the same round, both of which succeeded.
    pub pairs: usize,
    /// The median of the paired differences; above zero, the series takes more.
    pub difference: f64,
    /// Where that median lies, with a confidence of [`super::CONFIDENCE`], by bootstrap.
    pub interval: Interval,
    /// The median of the series over that of the reference; `None` if that is zero.
    pub ratio: Option<f64>,
    /// The two-sided p of the Mann-Whitney test.
    pub p: f64,
    /// Differences smaller than this count as none: [`MARGIN`] of the reference's median.
    pub margin: f64,
    /// What follows.
    pub verdict: Verdict,
}

impl PairedComparison {
    /// What the reference took in the middle of these pairs.
    pub fn reference_median(&self) -> f64 {
        self.margin / MARGIN
    }

    /// Of pairs (series, reference); `None` without pairs.
    pub fn of(pairs: &[(u64, u64)], random: &mut Random) -> Option<Self> {
        Self::with_resamples(pairs, bootstrap::RESAMPLES, random)
    }

    pub(super) fn with_resamples(
        pairs: &[(u64, u64)],
        resamples: usize,
        random: &mut Random,
    ) -> Option<Self> {
        let series: Vec<f64> = pairs.iter().map(|pair| pair.0 as f64).collect();
        let reference: Vec<f64> = pairs.iter().map(|pair| pair.1 as f64).collect();
        let both = series.iter().zip(&reference);
        let differences: Vec<f64> = both.map(|(series, reference)| series - reference).collect();
        let reference_median = median(&reference)?;
        let interval = bootstrap::interval(&differences, resamples, random)?;
        let p = mann_whitney::two_sided_p(&series, &reference)?;
        let margin = MARGIN * reference_median;
        let evidence = Evidence {
            pairs: pairs.len(),
            interval,
            p,
            margin,
        };
        Some(Self {
            pairs: pairs.len(),
            difference: median(&differences)?,
            interval,
            ratio: ratio_of_medians(
                &pairs.iter().map(|pair| pair.0).collect::<Vec<_>>(),
                &pairs.iter().map(|pair| pair.1).collect::<Vec<_>>(),
            ),
            p,
            margin,
            verdict: evidence.verdict(),
        })
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn of(pairs: &[(u64, u64)]) -> Option<PairedComparison> {
        PairedComparison::of(pairs, &mut Random::seed_from_u64(1))
    }

    #[test]
    fn a_series_that_takes_longer_each_time_is_slower() {
        let pairs: Vec<_> = (0..8).map(|n| (3_000 + n, 1_000 + 2 * n)).collect();
        let comparison = of(&pairs).unwrap();
        assert_eq!(comparison.verdict, Verdict::Slower);
        assert_eq!(comparison.pairs, 8);
        assert!((comparison.difference - 1_996.5).abs() < 1e-9);
        assert!((comparison.ratio.unwrap() - 2.99).abs() < 0.01);
    }

    #[test]
    fn what_disturbs_both_of_a_pair_does_not_make_the_difference_wide() {
        let pairs: Vec<_> = (0..20).map(|n| (1_000 * n + 10, 1_000 * n)).collect();
        let interval = of(&pairs).unwrap().interval;
        assert_eq!((interval.low, interval.high), (10.0, 10.0));
    }

    #[test]
    fn equal_series_are_equivalent_and_a_few_are_too_few() {
        let pairs = [(1_000, 1_000); 6];
        assert_eq!(of(&pairs).unwrap().verdict, Verdict::Equivalent);
        assert_eq!(of(&pairs[1..]).unwrap().verdict, Verdict::TooFewPairs);
        assert_eq!(of(&[]), None);
    }
}
