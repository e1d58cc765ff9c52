/// The value below or at which this share of the samples lies, by the nearest rank: always one
/// of the samples, never something between two. `None` without samples.
pub fn quantile<T: Copy + Ord>(samples: &[T], share: f64) -> Option<T> {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let rank = (share.clamp(0.0, 1.0) * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

/// The median of a series over that of a reference, both as they are shown beside it; `None` without
/// one, or if the reference's is zero.
pub(super) fn ratio_of_medians(series: &[u64], reference: &[u64]) -> Option<f64> {
    let of = quantile(reference, 0.5).filter(|median| *median > 0)?;
    Some(quantile(series, 0.5)? as f64 / of as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_one_of_the_medians_that_are_shown() {
        // Halfway between the middle two would be 12 over 8.
        assert_eq!(ratio_of_medians(&[20, 4], &[15, 1]), Some(4.0));
        assert_eq!(ratio_of_medians(&[20], &[0]), None);
        assert_eq!(ratio_of_medians(&[], &[1]), None);
    }

    #[test]
    fn the_nearest_rank_counts() {
        let samples = [50, 15, 40, 20, 35];
        for (share, expected) in [
            (0.0, 15),
            (0.3, 20),
            (0.4, 20),
            (0.5, 35),
            (0.9, 50),
            (1.0, 50),
        ] {
            assert_eq!(quantile(&samples, share), Some(expected), "{share}");
        }
        assert_eq!(quantile::<u64>(&[], 0.5), None);
    }
}
