/// The middle of the values; of an even number of them, what lies halfway between the middle two.
/// `None` without values, or when one of them is no number.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    if values.iter().any(|value| value.is_nan()) {
        return None;
    }
    let middle = values.len() / 2;
    let is_even = values.len().is_multiple_of(2);
    if values.is_empty() {
        return None;
    }
    let (below, &mut upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if !is_even {
        return Some(upper);
    }
    let lower = below.iter().copied().max_by(f64::total_cmp)?;
    Some(f64::midpoint(lower, upper))
}

/// The same of whole numbers, to the next one.
pub fn whole_median(values: &[u64]) -> Option<u64> {
    let values: Vec<f64> = values.iter().map(|&value| value as f64).collect();
    median(&values).map(|it| it.round() as u64)
}

/// The median of a series over that of a reference, both as they are shown beside it; `None` without
/// one, or if the reference's is zero.
pub(super) fn ratio_of_medians(series: &[u64], reference: &[u64]) -> Option<f64> {
    let of = whole_median(reference).filter(|median| *median > 0)?;
    Some(whole_median(series)? as f64 / of as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_one_of_the_medians_that_are_shown() {
        assert_eq!(ratio_of_medians(&[20, 4], &[15, 1]), Some(1.5));
        assert_eq!(ratio_of_medians(&[20], &[0]), None);
        assert_eq!(ratio_of_medians(&[], &[1]), None);
    }

    #[test]
    fn it_is_the_middle_one_or_halfway_between_two() {
        for (values, expected) in [
            (&[][..], None),
            (&[3.0], Some(3.0)),
            (&[9.0, 1.0], Some(5.0)),
            (&[9.0, 1.0, 2.0], Some(2.0)),
            (&[4.0, 1.0, 3.0, 100.0], Some(3.5)),
            (&[1.0, f64::NAN], None),
        ] {
            assert_eq!(median(values), expected, "{values:?}");
        }
    }
}
