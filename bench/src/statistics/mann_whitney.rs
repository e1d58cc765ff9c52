//! Whether values of one series tend to be larger than those of another.
//!
//! Own code: the test of the crate `statrs` 0.19 gives other results when the series change places,
//! and none in any useful time for a short series beside a long one.

use super::normal;

/// Up to this many values in both series together, all ways to deal them out are counted. Beyond
/// it the normal approximation is off by less than 0.004 where that matters, at a p below 0.2.
pub const EXACT_UP_TO: usize = 24;

/// The two-sided p of the Mann-Whitney U test: how probable it is that two series drawn from one
/// distribution differ in rank as much as these or more. `None` if one is empty or holds something
/// that is no number.
///
/// Ties share the mean of their ranks. Few values ([`EXACT_UP_TO`]) are tested exactly, given the
/// ties; more by the normal approximation with a correction for ties and one for continuity
/// (Lehmann, *Nonparametrics*, 1975, chapter 1).
pub fn two_sided_p(first: &[f64], second: &[f64]) -> Option<f64> {
    if first.is_empty() || second.is_empty() {
        return None;
    }
    let ranked = Ranked::new(first, second)?;
    Some(if ranked.len() <= EXACT_UP_TO {
        ranked.exact_p()
    } else {
        ranked.asymptotic_p()
    })
}

/// Both series, by rank. Ranks are doubled, so that those of ties are whole numbers.
struct Ranked {
    doubled: Vec<usize>,
    first_len: usize,
    doubled_sum_of_first: usize,
    /// The sum of t³ - t over groups of t equal values.
    tie_term: f64,
}

impl Ranked {
    fn new(first: &[f64], second: &[f64]) -> Option<Self> {
        let of_first = first.iter().map(|&value| (value, true));
        let of_second = second.iter().map(|&value| (value, false));
        let mut values: Vec<_> = of_first.chain(of_second).collect();
        if values.iter().any(|(value, _)| value.is_nan()) {
            return None;
        }
        values.sort_unstable_by(|(a, _), (b, _)| a.total_cmp(b));
        let mut ranked = Self {
            doubled: Vec::with_capacity(values.len()),
            first_len: first.len(),
            doubled_sum_of_first: 0,
            tie_term: 0.0,
        };
        for equal in values.chunk_by(|(a, _), (b, _)| a == b) {
            // The first rank of the group is one more than what was ranked before it.
            let doubled_mean = 2 * ranked.doubled.len() + 1 + equal.len();
            let of_first = equal.iter().filter(|(_, is_first)| *is_first).count();
            ranked.doubled_sum_of_first += of_first * doubled_mean;
            let count = equal.len() as f64;
            ranked.tie_term += count.powi(3) - count;
            ranked
                .doubled
                .extend(std::iter::repeat_n(doubled_mean, equal.len()));
        }
        Some(ranked)
    }

    fn len(&self) -> usize {
        self.doubled.len()
    }

    /// Counts the choices of as many ranks as the first series has, by their sum.
    fn exact_p(&self) -> f64 {
        let sums = self.doubled.iter().sum::<usize>() + 1;
        // counts[k * sums + s]: how many choices of k ranks have the sum s. They stay below 2^53,
        // so they are exact.
        let mut counts = vec![0.0; (self.first_len + 1) * sums];
        counts[0] = 1.0;
        for (seen, &rank) in self.doubled.iter().enumerate() {
            for k in (0..self.first_len.min(seen + 1)).rev() {
                for sum in 0..sums - rank {
                    counts[(k + 1) * sums + sum + rank] += counts[k * sums + sum];
                }
            }
        }
        let counts = &counts[self.first_len * sums..];
        let observed = self.doubled_sum_of_first;
        let all: f64 = counts.iter().sum();
        let as_low: f64 = counts[..=observed].iter().sum();
        let as_high: f64 = counts[observed..].iter().sum();
        (2.0 * as_low.min(as_high) / all).min(1.0)
    }

    fn asymptotic_p(&self) -> f64 {
        let n = self.len() as f64;
        let first = self.first_len as f64;
        let second = n - first;
        let u = self.doubled_sum_of_first as f64 / 2.0 - first * (first + 1.0) / 2.0;
        let variance = first * second / 12.0 * (n + 1.0 - self.tie_term / (n * (n - 1.0)));
        if variance <= 0.0 {
            // All values are the same.
            return 1.0;
        }
        let distance = (u - first * second / 2.0).abs() - 0.5;
        (2.0 * normal::upper_tail(distance.max(0.0) / variance.sqrt())).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_p(first: &[f64], second: &[f64], expected: f64) {
        for (a, b) in [(first, second), (second, first)] {
            let p = two_sided_p(a, b).unwrap();
            assert!((p - expected).abs() < 1e-9, "{p} is not {expected}");
        }
    }

    /// `scipy.stats.mannwhitneyu`, the example of its documentation: p = 0.1111 by the exact method.
    #[test]
    fn the_example_of_scipy() {
        let males = [19.0, 22.0, 16.0, 29.0, 24.0];
        let females = [20.0, 11.0, 17.0, 12.0];
        assert_p(&males, &females, 1.0 / 9.0);
    }

    /// `wilcox.test` of R, the example of its documentation (Hollander and Wolfe, 1973, p. 69): one
    /// side has p = 0.1272.
    #[test]
    fn the_example_of_r() {
        let at_term = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
        let early = [1.15, 0.88, 0.90, 0.74, 1.21];
        assert_p(&at_term, &early, 2.0 * 0.127_206_127_206_127_2);
    }

    /// `scipy.stats.mannwhitneyu` 1.17 with `PermutationMethod`, all 6,435 of them.
    #[test]
    fn ties_are_counted_exactly() {
        let first = [1.0, 2.0, 2.0, 3.0, 4.0, 4.0, 5.0];
        let second = [2.0, 3.0, 3.0, 4.0, 5.0, 6.0, 6.0, 7.0];
        assert_p(&first, &second, 0.130_846_930_846_930_86);
    }

    /// `scipy.stats.mannwhitneyu` 1.17 with `method="asymptotic"`.
    #[test]
    fn of_many_the_approximation_is_corrected_for_ties_and_continuity() {
        let first: Vec<_> = (0..60).map(|i| f64::from(i * 37 % 101)).collect();
        let second: Vec<_> = (0..45).map(|i| f64::from(i * 53 % 97 + 9)).collect();
        assert_p(&first, &second, 0.442_865_385_380_594_5);
    }

    /// Two of the n! n! / (2n)! orders are as far apart.
    #[test]
    fn series_that_do_not_overlap_have_the_least_p_that_there_is() {
        for (n, orders) in [(3, 20.0), (4, 70.0), (5, 252.0), (6, 924.0)] {
            let first: Vec<_> = (0..n).map(f64::from).collect();
            let second: Vec<_> = (n..2 * n).map(f64::from).collect();
            assert_p(&first, &second, 2.0 / orders);
        }
    }

    #[test]
    fn equal_values_show_nothing() {
        assert_p(&[1.0; 4], &[1.0; 4], 1.0);
        assert_p(&[1.0; 40], &[1.0; 40], 1.0);
    }

    #[test]
    fn without_values_there_is_no_p() {
        assert_eq!(two_sided_p(&[], &[1.0]), None);
        assert_eq!(two_sided_p(&[1.0], &[f64::NAN]), None);
    }
}
