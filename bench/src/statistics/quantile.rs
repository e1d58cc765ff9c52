/// The value below or at which this share of the samples lies, by the nearest rank: always one
/// of the samples, never something between two. `None` without samples.
pub fn quantile<T: Copy + Ord>(samples: &[T], share: f64) -> Option<T> {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let rank = (share.clamp(0.0, 1.0) * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

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
