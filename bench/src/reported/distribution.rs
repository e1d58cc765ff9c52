//! How the values of a figure are spread, of all runs together.

/// Most quantiles of a figure: steps of 2.5 %.
pub(super) const MOST_QUANTILES: usize = 41;

/// Quantiles of what several runs told, each of which counts as much as any other, however many it
/// told. Nothing of nothing.
pub(super) fn pooled<'a>(runs: impl Iterator<Item = &'a [u64]>) -> Vec<u64> {
    let mut all: Vec<u64> = runs.flat_map(|run| spread(run, MOST_QUANTILES)).collect();
    all.sort_unstable();
    spread(&all, MOST_QUANTILES).collect()
}

/// `count` of these, which are in order, from the first to the last with as many between any two.
fn spread(values: &[u64], count: usize) -> impl Iterator<Item = u64> {
    let last = values.len().saturating_sub(1);
    let steps = count - 1;
    let count = if values.is_empty() { 0 } else { count };
    (0..count).map(move |step| values[(step * last + steps / 2) / steps])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(runs: &[&[u64]]) -> Vec<u64> {
        pooled(runs.iter().copied())
    }

    #[test]
    fn of_one_run_with_as_many_they_stay_as_they_are() {
        let run: Vec<u64> = (0..41).map(|it| it * it).collect();
        assert_eq!(of(&[&run]), run);
        assert_eq!(of(&[]), [0; 0]);
        assert_eq!(of(&[&[]]), [0; 0]);
    }

    #[test]
    fn each_run_counts_as_much_as_any_other() {
        let many: Vec<u64> = (0..41).map(|_| 1).collect();
        let together = of(&[&many, &[9, 9]]);
        assert_eq!(together.len(), 41);
        assert_eq!(together.iter().filter(|it| **it == 1).count(), 20);
        assert!(together.is_sorted());
        assert_eq!((together[0], together[40]), (1, 9));
    }
}
