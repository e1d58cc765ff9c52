//! What the verdicts promise, tried on series whose truth is known.

use rand::{RngExt, SeedableRng};

use super::{PairedComparison, Random, UnpairedComparison, Verdict};

const COMPARISONS: usize = 1_000;
/// Fewer than usual, so that this takes a moment; the ends of intervals shake more for it.
const RESAMPLES: usize = 200;

/// By how much of the least launches differ on a busy host, and on a quiet one.
const NOISY: f64 = 0.3;
const QUIET: f64 = 0.02;

/// What a launch might take: most near the least, a few much more.
fn skewed(noise: f64, random: &mut Random) -> f64 {
    let share: f64 = random.random();
    1e6 * (1.0 + noise * -(1.0 - share).ln())
}

/// Of so many comparisons how many end in a verdict of which `is_counted`; the series takes
/// `factor` times what the reference does, and both are stretched by what `drift` makes of the
/// round.
fn count(
    pairs: usize,
    noise: f64,
    factor: f64,
    drift: fn(usize) -> f64,
    is_counted: fn(Verdict) -> bool,
) -> usize {
    let mut random = Random::seed_from_u64(pairs as u64);
    let mut counted = 0;
    for _ in 0..COMPARISONS {
        let series: Vec<_> = (0..pairs)
            .map(|round| {
                let one = skewed(noise, &mut random) * factor * drift(round);
                let other = skewed(noise, &mut random) * drift(round);
                (one as u64, other as u64)
            })
            .collect();
        let comparison = PairedComparison::with_resamples(&series, RESAMPLES, &mut random);
        counted += usize::from(is_counted(comparison.unwrap().verdict));
    }
    counted
}

fn steady(_round: usize) -> f64 {
    1.0
}

fn slowing(round: usize) -> f64 {
    1.0 + round as f64 / 20.0
}

fn states_a_difference(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Faster | Verdict::Slower)
}

/// 5 % of 1,000.
const FALSE_AT_MOST: usize = COMPARISONS / 20;

/// 80 % of 1,000: so often what is true should be found, by custom.
const POWER: usize = COMPARISONS * 4 / 5;

#[test]
fn a_difference_that_is_not_there_is_seen_at_most_at_the_stated_rate() {
    for (pairs, drift) in [(6, steady as fn(usize) -> f64), (10, slowing), (20, steady)] {
        let count = count(pairs, NOISY, 1.0, drift, states_a_difference);
        assert!(count <= FALSE_AT_MOST, "{count} with {pairs} pairs");
    }
}

#[test]
fn a_difference_that_counts_is_called_none_at_most_at_the_stated_rate() {
    for (noise, factor) in [(NOISY, 1.08), (QUIET, 1.05)] {
        for pairs in [6, 10, 20] {
            let count = count(pairs, noise, factor, steady, |it| it == Verdict::Equivalent);
            assert!(count <= FALSE_AT_MOST, "{count} with {pairs} pairs");
        }
    }
}

#[test]
fn that_there_is_no_difference_is_seen_on_a_quiet_host() {
    for pairs in [6, 10, 20] {
        let count = count(pairs, QUIET, 1.0, steady, |it| it == Verdict::Equivalent);
        assert!(count >= POWER, "{count} with {pairs} pairs");
    }
}

#[test]
fn a_difference_is_never_seen_the_wrong_way_round() {
    let count = count(10, NOISY, 1.5, steady, |it| it == Verdict::Faster);
    assert_eq!(count, 0);
}

#[test]
fn a_difference_that_is_large_is_seen() {
    let count = count(10, NOISY, 2.0, slowing, |it| it == Verdict::Slower);
    assert!(count >= 950, "{count}");
}

/// The same, of series that were not measured in turns.
fn count_unpaired(runs: usize, noise: f64, factor: f64, is_counted: fn(Verdict) -> bool) -> usize {
    let mut random = Random::seed_from_u64(runs as u64);
    let mut counted = 0;
    for _ in 0..COMPARISONS {
        let mut series = |factor: f64| -> Vec<_> {
            (0..runs)
                .map(|_| (skewed(noise, &mut random) * factor) as u64)
                .collect()
        };
        let [one, other] = [series(factor), series(1.0)];
        let comparison =
            UnpairedComparison::with_resamples(&one, &other, RESAMPLES, &mut random).unwrap();
        counted += usize::from(is_counted(comparison.verdict));
    }
    counted
}

#[test]
fn series_without_pairs_keep_the_same_promises() {
    for runs in [6, 10, 20] {
        let seen = count_unpaired(runs, NOISY, 1.0, states_a_difference);
        assert!(seen <= FALSE_AT_MOST, "{seen} with {runs} runs");
        for (noise, factor) in [(NOISY, 1.08), (QUIET, 1.05)] {
            let missed = count_unpaired(runs, noise, factor, |it| it == Verdict::Equivalent);
            assert!(missed <= FALSE_AT_MOST, "{missed} with {runs} runs");
        }
        let same = count_unpaired(runs, QUIET, 1.0, |it| it == Verdict::Equivalent);
        assert!(same >= POWER, "{same} with {runs} runs");
    }
    let large = count_unpaired(10, NOISY, 2.0, |it| it == Verdict::Slower);
    assert!(large >= 950, "{large}");
}
