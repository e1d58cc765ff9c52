//! Records, as long as it is not known whether they count.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use launch::MonotonicNs;

/// A moment of interest is known by then: it is looked for twenty times a second.
const KNOWN_AFTER: Duration = Duration::from_secs(1);

/// What was passed, and where: a tracepoint's number and a key.
type What = (u16, u64);

/// What counts of all that is told: what is not before main, nor what the measuring itself made the instance
/// do.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scope {
    /// `None` as long as it is not known.
    pub(super) main: Option<MonotonicNs>,
    /// When something was asked of the instance, and when that was over.
    pub(super) asked: Option<(MonotonicNs, MonotonicNs)>,
}

impl Scope {
    fn has(&self, at: MonotonicNs) -> bool {
        let is_asked = |(from, to): (MonotonicNs, MonotonicNs)| (from..=to).contains(&at);
        self.main.is_some_and(|main| at >= main) && !self.asked.is_some_and(is_asked)
    }

    /// How long it is, up to `end`.
    pub(super) fn until(&self, end: MonotonicNs) -> u64 {
        let asked = self.asked.map_or(0, |(from, to)| to.min(end).since(from));
        let all = self.main.map_or(0, |main| end.since(main));
        all.saturating_sub(asked)
    }
}

/// Records on their way to counts. Main and the end are only known after they were, so records wait
/// until it is certain on which side they are.
#[derive(Debug, Default)]
pub(super) struct Window {
    waiting: VecDeque<(MonotonicNs, What)>,
    counts: Counts,
}

/// How often each thing happened.
#[derive(Debug, Default)]
pub(super) struct Counts {
    times: BTreeMap<What, u64>,
    lost: u64,
}

impl Window {
    /// A record of this moment. They come nearly in order, as each processor has its own.
    pub(super) fn add(&mut self, at: MonotonicNs, what: What) {
        self.waiting.push_back((at, what));
    }

    /// So many more could not be told.
    pub(super) fn lose(&mut self, records: u64) {
        self.counts.lost += records;
    }

    /// Counts those that are old enough, if they are in `scope`: a main that is not known by now was not
    /// before them.
    pub(super) fn settle(&mut self, scope: &Scope) {
        let Some((newest, _)) = self.waiting.back() else {
            return;
        };
        let certain = newest.0.saturating_sub(KNOWN_AFTER.as_nanos() as u64);
        while let Some((at, what)) = self.waiting.front().filter(|(at, _)| at.0 < certain) {
            if scope.has(*at) {
                self.counts.add(*what);
            }
            self.waiting.pop_front();
        }
    }

    /// All in `scope` up to `end`.
    pub(super) fn until(self, scope: &Scope, end: MonotonicNs) -> Counts {
        let Self {
            waiting,
            mut counts,
        } = self;
        for (at, what) in waiting {
            if scope.has(at) && at <= end {
                counts.add(what);
            }
        }
        counts
    }
}

impl Counts {
    fn add(&mut self, what: What) {
        *self.times.entry(what).or_default() += 1;
    }

    /// How often each key was told of by this tracepoint.
    pub(super) fn of(&self, tracepoint: u16) -> BTreeMap<u64, u64> {
        let all = self.times.range((tracepoint, 0)..=(tracepoint, u64::MAX));
        all.map(|((_, key), times)| (*key, *times)).collect()
    }

    /// How many records there was no room for.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn from(main: u64) -> Scope {
        Scope {
            main: Some(MonotonicNs(main)),
            asked: None,
        }
    }

    #[test]
    fn what_the_measuring_asks_for_does_not_count() {
        let scope = Scope {
            asked: Some((MonotonicNs(20), MonotonicNs(30))),
            ..from(10)
        };
        let mut window = Window::default();
        for at in [5, 10, 19, 20, 25, 30, 31, 50] {
            window.add(MonotonicNs(at), (7, at));
        }
        let counted = window.until(&scope, MonotonicNs(40)).of(7);
        assert_eq!(counted.into_keys().collect::<Vec<_>>(), [10, 19, 31]);
        assert_eq!(scope.until(MonotonicNs(40)), 20);
    }

    #[test]
    fn only_what_is_between_main_and_the_end_counts() {
        let mut window = Window::default();
        for (at, key) in [(1, 1), (2, 2), (3, 2), (4, 3)] {
            window.add(MonotonicNs(at * 10), (7, key));
        }
        window.add(MonotonicNs(25), (8, 9));
        window.lose(5);
        let counts = window.until(&from(20), MonotonicNs(30));
        assert_eq!(counts.of(7), BTreeMap::from([(2, 2)]));
        assert_eq!(counts.of(8), BTreeMap::from([(9, 1)]));
        assert_eq!((counts.of(9).len(), counts.lost()), (0, 5));
    }

    #[test]
    fn what_is_old_is_counted_or_forgotten_and_waits_no_longer() {
        let mut window = Window::default();
        for at in [1, 2, 5] {
            window.add(MonotonicNs(at * SECOND), (7, at));
        }
        window.settle(&from(2 * SECOND));
        assert_eq!(window.waiting.len(), 1);
        let counts = window.until(&from(2 * SECOND), MonotonicNs(9 * SECOND));
        assert_eq!(counts.of(7), BTreeMap::from([(2, 1), (5, 1)]));
    }

    proptest! {
        /// However often one settles meanwhile.
        #[test]
        fn settling_changes_no_count(
            moments in proptest::collection::vec(0..20 * SECOND, 0..60),
            main in 0..20 * SECOND,
            every in 1..7usize,
        ) {
            let mut moments = moments;
            moments.sort_unstable();
            let end = MonotonicNs(15 * SECOND);
            // No later than what is told a second after it.
            let mut window = Window::default();
            for (index, &at) in moments.iter().enumerate() {
                if at > end.0 + SECOND { break; }
                window.add(MonotonicNs(at), (1, 1));
                let known = if at >= main { from(main) } else { Scope::default() };
                if index % every == 0 { window.settle(&known); }
            }
            let expected = moments.iter().filter(|at| (main..=end.0).contains(at)).count() as u64;
            let counts = window.until(&from(main), end);
            prop_assert_eq!(counts.of(1).get(&1).copied().unwrap_or(0), expected);
        }
    }
}
