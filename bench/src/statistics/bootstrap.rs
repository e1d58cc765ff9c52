//! How far a median could be off.

use rand::RngExt;

use super::{CONFIDENCE, Interval, Random, median};

/// How many series are drawn. More would move the ends of an interval by less than the interval
/// says they can be off anyway.
pub const RESAMPLES: usize = 2_000;

/// The percentile bootstrap interval of the median (Efron and Tibshirani, *An Introduction to the
/// Bootstrap*, 1993, chapter 13): as many values are drawn from `values`, with replacement, again
/// and again; the interval holds the middle [`CONFIDENCE`] of the medians of what was drawn.
/// `None` without values.
pub fn median_interval(values: &[f64], random: &mut Random) -> Option<Interval> {
    interval(values, RESAMPLES, random)
}

pub(super) fn interval(values: &[f64], resamples: usize, random: &mut Random) -> Option<Interval> {
    let mut drawn = Drawn::from(values)?;
    of_statistic(resamples, || drawn.median(random))
}

/// The same for the median of `values` less that of `reference`, each drawn from for itself.
pub(super) fn interval_of_difference(
    values: &[f64],
    reference: &[f64],
    resamples: usize,
    random: &mut Random,
) -> Option<Interval> {
    let mut drawn = [Drawn::from(values)?, Drawn::from(reference)?];
    of_statistic(resamples, || {
        Some(drawn[0].median(random)? - drawn[1].median(random)?)
    })
}

/// The middle [`CONFIDENCE`] of what a statistic of drawn series is, again and again.
fn of_statistic(resamples: usize, mut statistic: impl FnMut() -> Option<f64>) -> Option<Interval> {
    let mut statistics = (0..resamples)
        .map(|_| statistic())
        .collect::<Option<Vec<_>>>()?;
    statistics.sort_unstable_by(f64::total_cmp);
    let outside = ((1.0 - CONFIDENCE) / 2.0 * resamples as f64).floor() as usize;
    Some(Interval {
        low: *statistics.get(outside)?,
        high: *statistics.get(statistics.len().checked_sub(outside + 1)?)?,
    })
}

/// A series to draw from, and room for as many values that were drawn.
struct Drawn<'a> {
    from: &'a [f64],
    values: Vec<f64>,
}

impl<'a> Drawn<'a> {
    /// `None` without values, or when one of them is no number.
    fn from(values: &'a [f64]) -> Option<Self> {
        median(values)?;
        Some(Self {
            from: values,
            values: vec![0.0; values.len()],
        })
    }

    fn median(&mut self, random: &mut Random) -> Option<f64> {
        for slot in &mut self.values {
            *slot = self.from[random.random_range(0..self.from.len())];
        }
        median(&self.values)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let values: Vec<f64> = (0..30).map(|n| f64::from(n * n % 17)).collect();
        let with = |seed| median_interval(&values, &mut Random::seed_from_u64(seed));
        assert_eq!(with(1), with(1));
    }

    #[test]
    fn the_interval_holds_the_median_and_no_more_than_the_values() {
        let values: Vec<f64> = (0..25).map(f64::from).collect();
        let Interval { low, high } =
            median_interval(&values, &mut Random::seed_from_u64(7)).unwrap();
        assert!((0.0..12.0).contains(&low) && high > 12.0 && high <= 24.0);
    }

    #[test]
    fn of_equal_values_the_interval_is_a_point() {
        let interval = median_interval(&[4.0; 9], &mut Random::seed_from_u64(7));
        let point = Interval {
            low: 4.0,
            high: 4.0,
        };
        assert_eq!(interval, Some(point));
    }

    #[test]
    fn without_values_there_is_none() {
        assert_eq!(median_interval(&[], &mut Random::seed_from_u64(7)), None);
    }
}
