//! From plain numbers to marks.

/// From 0 to a little more than the most.
pub(super) struct Axis {
    /// Where it ends.
    pub end: f64,
    step: f64,
}

impl Axis {
    pub fn to(most: f64) -> Self {
        let steps =
            (0..10).flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power)));
        let step = steps.into_iter().find(|step| most / step <= 5.0);
        let step = step.unwrap_or(most);
        Self {
            end: (most / step).ceil().max(1.0) * step,
            step,
        }
    }

    pub fn marks(&self) -> impl Iterator<Item = f64> {
        let count = (self.end / self.step).round() as u32;
        (0..=count).map(|mark| f64::from(mark) * self.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_mark_and_has_few() {
        for (most, expected) in [
            (1.0, &[0.0, 1.0][..]),
            (4.0, &[0.0, 1.0, 2.0, 3.0, 4.0]),
            (16.0, &[0.0, 5.0, 10.0, 15.0, 20.0]),
            (501.0, &[0.0, 200.0, 400.0, 600.0]),
        ] {
            assert_eq!(Axis::to(most).marks().collect::<Vec<_>>(), expected);
        }
    }
}
