//! The slope of a cloud of points that a few wild ones do not turn.

use super::{Interval, median, normal};

/// A slope, in units of y for a unit of x.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slope {
    /// The median of the slopes between any two points.
    pub slope: f64,
    /// Where it lies.
    pub interval: Interval,
}

/// The Theil-Sen slope through `points` (x, y), with Sen's interval, corrected for points that share
/// an x or a y (Sen, *Journal of the American Statistical Association* 63, 1968, p. 1379). `None`
/// unless there are two points with different x.
pub fn slope(points: &[(f64, f64)]) -> Option<Slope> {
    let mut slopes = Vec::new();
    for (index, (x1, y1)) in points.iter().enumerate() {
        for (x2, y2) in &points[index + 1..] {
            if x1 != x2 {
                slopes.push((y2 - y1) / (x2 - x1));
            }
        }
    }
    let middle = median(&slopes)?;
    slopes.sort_unstable_by(f64::total_cmp);
    let spread = normal::UPPER_2_5_PERCENT * kendall_variance(points).max(0.0).sqrt();
    let count = slopes.len() as f64;
    let last = slopes.len() - 1;
    let below = ((count - spread) / 2.0).round().max(1.0) as usize - 1;
    let above = ((count + spread) / 2.0).round() as usize;
    Some(Slope {
        slope: middle,
        interval: Interval {
            low: slopes[below.min(last)],
            high: slopes[above.min(last)],
        },
    })
}

/// The variance of Kendall's S when x and y have nothing to do with each other.
fn kendall_variance(points: &[(f64, f64)]) -> f64 {
    let term = |count: f64| count * (count - 1.0) * (2.0 * count + 5.0);
    let ties = |mut values: Vec<f64>| {
        values.sort_unstable_by(f64::total_cmp);
        let groups = values.chunk_by(|a, b| a == b);
        groups.map(|group| term(group.len() as f64)).sum::<f64>()
    };
    let xs = ties(points.iter().map(|(x, _)| *x).collect());
    let ys = ties(points.iter().map(|(_, y)| *y).collect());
    (term(points.len() as f64) - xs - ys) / 18.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_slope(points: &[(f64, f64)], expected: [f64; 3]) {
        let Slope { slope, interval } = slope(points).unwrap();
        for (found, expected) in [interval.low, slope, interval.high].iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{slope} {interval:?}");
        }
    }

    /// `scipy.stats.theilslopes` 1.17.
    #[test]
    fn one_wild_point_does_not_turn_it() {
        let ys = [1.0, 2.9, 5.2, 7.1, 8.8, 11.3, 13.0, 14.7, 17.4, 60.0];
        let points: Vec<_> = (0..).map(f64::from).zip(ys).collect();
        assert_slope(&points, [1.957_142_857_142_857, 2.05, 2.3]);
    }

    /// `scipy.stats.theilslopes` 1.17.
    #[test]
    fn points_may_share_an_x() {
        let xs = [1.0, 1.0, 2.0, 2.0, 4.0, 4.0, 8.0, 8.0, 16.0, 16.0];
        let ys = [3.1, 2.9, 5.2, 5.0, 8.8, 9.4, 17.1, 16.8, 33.0, 32.1];
        let points: Vec<_> = xs.into_iter().zip(ys).collect();
        let expected = [
            1.921_428_571_428_571_5,
            1.984_523_809_523_809_6,
            2.028_571_428_571_428_5,
        ];
        assert_slope(&points, expected);
    }

    #[test]
    fn one_place_has_no_slope() {
        assert_eq!(slope(&[]), None);
        assert_eq!(slope(&[(1.0, 2.0), (1.0, 3.0)]), None);
    }

    #[test]
    fn two_points_have_one() {
        assert_slope(&[(1.0, 1.0), (3.0, 5.0)], [2.0, 2.0, 2.0]);
    }
}
