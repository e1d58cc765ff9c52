use serde::{Deserialize, Serialize};

use super::{quantile, whole_median};

/// From so many values on the 99th percentile is one that three of them lie above; with fewer it
/// says more of one of them than of the series.
pub const TAIL_FROM: usize = 300;

/// A series in a few figures. But for the median, which may lie between two, each is one of its values,
/// by nearest rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// How many values there are.
    pub count: usize,
    /// The least.
    pub min: u64,
    /// The median.
    pub p50: u64,
    /// What nine in ten do not exceed.
    pub p90: u64,
    /// What 99 in 100 do not exceed; only of [`TAIL_FROM`] values or more.
    pub p99: Option<u64>,
    /// The most.
    pub max: u64,
}

impl Summary {
    /// `None` without values.
    pub fn of(values: &[u64]) -> Option<Self> {
        Some(Self {
            count: values.len(),
            min: quantile(values, 0.0)?,
            p50: whole_median(values)?,
            p90: quantile(values, 0.9)?,
            p99: (values.len() >= TAIL_FROM)
                .then(|| quantile(values, 0.99))
                .flatten(),
            max: quantile(values, 1.0)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_told_from_300_values_on() {
        let values: Vec<u64> = (1..=300).collect();
        let summary = Summary {
            count: 300,
            min: 1,
            p50: 151,
            p90: 270,
            p99: Some(297),
            max: 300,
        };
        assert_eq!(Summary::of(&values), Some(summary));
        assert_eq!(Summary::of(&values[1..]).unwrap().p99, None);
        assert_eq!(Summary::of(&[]), None);
    }
}
