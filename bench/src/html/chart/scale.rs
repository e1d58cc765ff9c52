//! From nanoseconds to places.

use crate::units::time;

/// Where values of an axis are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    is_logarithmic: bool,
    low: f64,
    high: f64,
    left: f64,
    right: f64,
}

/// Marks are so far apart at least, so that each has room for what is written at it.
const APART: f64 = 62.0;

/// A mark of an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub at: f64,
    pub label: String,
}

impl Scale {
    /// From 0 to `high_ns`, between two places.
    pub fn linear(high_ns: u64, left: f64, right: f64) -> Self {
        Self {
            is_logarithmic: false,
            low: 0.0,
            high: high_ns.max(1) as f64,
            left,
            right,
        }
    }

    /// Of all these values, to the next 1, 2 or 5 of a power of ten on both sides. Without any,
    /// of 1 ms.
    pub fn logarithmic(
        values_ns: impl Iterator<Item = u64> + Clone,
        left: f64,
        right: f64,
    ) -> Self {
        let low = values_ns.clone().min().unwrap_or(1_000_000).max(1);
        let high = values_ns.max().unwrap_or(1_000_000).max(1);
        let steps: Vec<u64> = steps().collect();
        let below = steps.iter().rev().find(|&&step| step <= low);
        let above = steps.iter().find(|&&step| step > high);
        Self {
            is_logarithmic: true,
            low: below.copied().unwrap_or(1) as f64,
            high: above.copied().unwrap_or(u64::MAX) as f64,
            left,
            right,
        }
    }

    /// The place of a value.
    pub fn at(&self, ns: u64) -> f64 {
        let value = (ns as f64).clamp(self.low, self.high);
        let share = if self.is_logarithmic {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.left + share * (self.right - self.left)
    }

    /// Its marks, few enough to be read, written as `label` does.
    pub fn ticks(&self, label: impl Fn(u64) -> String) -> Vec<Tick> {
        let most = ((self.right - self.left).abs() / APART).max(2.0) as usize;
        let values: Vec<u64> = if self.is_logarithmic {
            self.logarithmic_ticks(most)
        } else {
            let step = steps()
                .find(|&step| self.high / step as f64 <= most as f64)
                .unwrap_or(u64::MAX);
            (0..=most as u64)
                .map_while(|n| n.checked_mul(step))
                .take_while(|&value| value as f64 <= self.high)
                .collect()
        };
        values
            .into_iter()
            .map(|value| Tick {
                at: self.at(value),
                label: label(value),
            })
            .collect()
    }
}

impl Scale {
    /// All steps, or the powers of ten, or every second one of those, and so on.
    fn logarithmic_ticks(&self, most: usize) -> Vec<u64> {
        let within: Vec<u64> = steps()
            .filter(|&step| step as f64 >= self.low && step as f64 <= self.high)
            .collect();
        if within.len() <= most {
            return within;
        }
        let powers = || within.iter().copied().filter(|it| is_power_of_ten(*it));
        let every = powers().count().div_ceil(most).max(1);
        powers().step_by(every).collect()
    }
}

/// 1, 2 and 5 of each power of ten, to some hours in nanoseconds.
fn steps() -> impl Iterator<Item = u64> {
    (0..14).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u64.pow(power)))
}

fn is_power_of_ten(value: u64) -> bool {
    value
        .checked_ilog10()
        .is_some_and(|power| 10_u64.pow(power) == value)
}

/// As the time is written elsewhere, without digits that say nothing.
pub(super) fn time_label(ns: u64) -> String {
    if ns == 0 {
        return "0".into();
    }
    let text = time(ns);
    match text.split_once(' ') {
        Some((number, unit)) if number.contains('.') => {
            format!(
                "{} {unit}",
                number.trim_end_matches('0').trim_end_matches('.')
            )
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> Vec<String> {
        scale
            .ticks(time_label)
            .into_iter()
            .map(|tick| tick.label)
            .collect()
    }

    #[test]
    fn a_linear_axis_begins_at_zero() {
        let scale = Scale::linear(45_000_000, 100.0, 500.0);
        assert_eq!(scale.at(0), 100.0);
        assert_eq!(scale.at(45_000_000), 500.0);
        assert_eq!(labels(&scale), ["0", "10 ms", "20 ms", "30 ms", "40 ms"]);
    }

    #[test]
    fn a_logarithmic_axis_holds_all_values() {
        let values = [3_000_000_u64, 6_000_000_000];
        let scale = Scale::logarithmic(values.into_iter(), 0.0, 400.0);
        assert!(scale.at(values[0]) > 0.0);
        assert!(scale.at(values[1]) < 400.0);
        assert_eq!(labels(&scale), ["10 ms", "100 ms", "1 s", "10 s"]);
        let slim = Scale::logarithmic(values.into_iter(), 0.0, 150.0);
        assert_eq!(labels(&slim), ["10 ms", "1 s"]);
        let narrow = Scale::logarithmic([1_500_000, 4_000_000].into_iter(), 0.0, 400.0);
        assert_eq!(labels(&narrow), ["1 ms", "2 ms", "5 ms"]);
    }

    #[test]
    fn no_value_leads_out_of_an_axis() {
        let values = [0, 1, 7, u64::MAX];
        for scale in [
            Scale::linear(0, 0.0, 100.0),
            Scale::linear(10, 0.0, 100.0),
            Scale::logarithmic(values.into_iter(), 0.0, 100.0),
            Scale::logarithmic(std::iter::empty(), 0.0, 100.0),
        ] {
            for value in values {
                assert!(
                    (0.0..=100.0).contains(&scale.at(value)),
                    "{scale:?} {value}"
                );
            }
            assert!(scale.ticks(time_label).len() <= 14, "{scale:?}");
        }
    }
}
