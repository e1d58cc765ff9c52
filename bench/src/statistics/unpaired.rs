use serde::{Deserialize, Serialize};

use super::median::ratio_of_medians;
use super::{Evidence, Interval, MARGIN, Random, Verdict, bootstrap, mann_whitney, median};

/// A series held against one that was measured at another time. All is in the unit
/// of its values: nanoseconds, or bytes of memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnpairedComparison {
    /// The median of the series less that of the reference; above zero, the series takes more.
    pub difference: f64,
    /// Where that lies, with a confidence of [`super::CONFIDENCE`], by bootstrap.
    pub interval: Interval,
    /// The median of the series over that of the reference; `None` if that is zero.
    pub ratio: Option<f64>,
    /// The two-sided p of the Mann-Whitney test.
    pub p: f64,
    /// What follows. [`super::MARGIN`] and [`super::MIN_PAIRS`] count as for pairs, the latter of
    /// the shorter series.
    pub verdict: Verdict,
}

impl UnpairedComparison {
    /// Of two series in the same unit; `None` if one has no values.
    pub fn of(series: &[u64], reference: &[u64], random: &mut Random) -> Option<Self> {
        Self::with_resamples(series, reference, bootstrap::RESAMPLES, random)
    }

    pub(super) fn with_resamples(
        series: &[u64],
        reference: &[u64],
        resamples: usize,
        random: &mut Random,
    ) -> Option<Self> {
        let ratio = ratio_of_medians(series, reference);
        let [series, reference] =
            [series, reference].map(|it| it.iter().map(|&value| value as f64).collect::<Vec<_>>());
        let (series_median, reference_median) = (median(&series)?, median(&reference)?);
        let interval = bootstrap::interval_of_difference(&series, &reference, resamples, random)?;
        let p = mann_whitney::two_sided_p(&series, &reference)?;
        let evidence = Evidence {
            pairs: series.len().min(reference.len()),
            interval,
            p,
            margin: MARGIN * reference_median,
        };
        Some(Self {
            difference: series_median - reference_median,
            interval,
            ratio,
            p,
            verdict: evidence.verdict(),
        })
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn of(series: &[u64], reference: &[u64]) -> Option<UnpairedComparison> {
        UnpairedComparison::of(series, reference, &mut Random::seed_from_u64(1))
    }

    #[test]
    fn a_series_that_lies_above_the_other_is_slower() {
        let reference: Vec<_> = (1_000..1_010).collect();
        let series: Vec<_> = (2_000..2_008).collect();
        let comparison = of(&series, &reference).unwrap();
        assert_eq!(comparison.verdict, Verdict::Slower);
        assert!((comparison.difference - 999.0).abs() < 1e-9);
        assert!(comparison.interval.low > 990.0 && comparison.interval.high < 1_010.0);
        assert_eq!(of(&reference, &series).unwrap().verdict, Verdict::Faster);
    }

    #[test]
    fn the_shorter_series_decides_whether_there_are_enough() {
        let few = of(&[1_000; 5], &[1_000; 50]).unwrap();
        assert_eq!(few.verdict, Verdict::TooFewPairs);
        let enough = of(&[1_000; 6], &[1_000; 50]).unwrap();
        assert_eq!(enough.verdict, Verdict::Equivalent);
        assert_eq!(of(&[], &[1]), None);
    }
}
