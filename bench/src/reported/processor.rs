//! What processor time the host gave for each operation that a workload reports.

use launch::MonotonicNs;

use super::Reported;

/// What an instance had used at some moments, in order: what comes between two of them is taken as even.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readings(Vec<(MonotonicNs, u64)>);

impl Readings {
    /// Of an instance that was launched then: it had used nothing.
    pub(crate) fn beginning(launched_at: MonotonicNs) -> Self {
        Self(vec![(launched_at, 0)])
    }

    /// At this moment it had used so much.
    pub(crate) fn add(&mut self, at: MonotonicNs, used_ns: u64) {
        // One that went back would be no use, and no memory is worth it.
        if self
            .0
            .last()
            .is_none_or(|last| last.0 < at && last.1 <= used_ns)
        {
            self.0.push((at, used_ns));
        }
    }

    /// What it had used then; `None` outside of what was read.
    fn at(&self, moment: MonotonicNs) -> Option<f64> {
        let behind = self.0.partition_point(|(at, _)| *at < moment);
        let (end, used) = *self.0.get(behind)?;
        if end == moment {
            return Some(used as f64);
        }
        let (begin, before) = *self.0.get(behind.checked_sub(1)?)?;
        let share = moment.since(begin) as f64 / end.since(begin) as f64;
        Some(before as f64 + share * (used - before) as f64)
    }
}

impl Reported {
    /// Adds to each figure the processor time of one operation, with all that serves the instance. The
    /// first line of the report arrived at `first_line`. Nothing is added where the workload's clock
    /// is wrong, as no stretch of the host's would then be that of a figure.
    pub(crate) fn add_processor_time(&mut self, first_line: MonotonicNs, readings: &Readings) {
        if !self.agrees_with_host() {
            return;
        }
        let mut from = Some(0);
        for figure in &mut self.figures {
            let used = |until_ns| readings.at(MonotonicNs(first_line.0.checked_add(until_ns)?));
            let operations = figure.values as f64 * figure.batch as f64;
            let both = from.and_then(used).zip(figure.until_ns.and_then(used));
            figure.cpu_ns = both.map(|(from, until)| ((until - from) / operations).round() as u64);
            from = figure.until_ns;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Figure;

    fn readings(all: &[(u64, u64)]) -> Readings {
        let mut readings = Readings::default();
        for (at, used) in all {
            readings.add(MonotonicNs(*at), *used);
        }
        readings
    }

    #[test]
    fn one_that_reports_before_it_was_read_has_used_something_since_its_launch() {
        let mut reported = Reported {
            figures: vec![figure(10, 1, Some(100))],
            took_ns: 1000,
            host_ns: 1000,
        };
        let mut readings = Readings::beginning(MonotonicNs(900));
        readings.add(MonotonicNs(1400), 500);
        reported.add_processor_time(MonotonicNs(1000), &readings);
        assert_eq!(reported.figures[0].cpu_ns, Some(10));
    }

    fn figure(values: u64, batch: u64, until_ns: Option<u64>) -> Figure {
        Figure {
            name: format!("f-{values}"),
            values,
            batch,
            p50_ns: 1,
            p99_ns: None,
            quantiles_ns: Vec::new(),
            until_ns,
            cpu_ns: None,
        }
    }

    #[test]
    fn each_figure_gets_what_was_used_since_the_one_before_by_operation() {
        let mut reported = Reported {
            figures: vec![
                figure(10, 1, Some(100)),
                figure(2, 5, Some(300)),
                figure(4, 1, None),
                figure(5, 1, Some(350)),
                figure(6, 1, Some(999)),
            ],
            took_ns: 1000,
            host_ns: 1000,
        };
        let readings = readings(&[(900, 0), (1000, 50), (1200, 250), (1400, 1250)]);
        reported.add_processor_time(MonotonicNs(1000), &readings);
        let of_each: Vec<_> = reported.figures.iter().map(|it| it.cpu_ns).collect();
        // From 50 to 150 in ten; to 750 in ten; then not known from where, until, or to where.
        assert_eq!(of_each, [Some(10), Some(60), None, None, None]);
    }

    #[test]
    fn a_clock_that_is_wrong_has_no_processor_time() {
        let mut reported = Reported {
            figures: vec![figure(1, 1, Some(100))],
            took_ns: 1000,
            host_ns: 2000,
        };
        reported.add_processor_time(MonotonicNs(0), &readings(&[(0, 0), (5000, 9)]));
        assert_eq!(reported.figures[0].cpu_ns, None);
    }

    proptest! {
        #[test]
        fn what_is_used_never_goes_back(
            steps in prop::collection::vec((0..9u64, 0..9u64), 0..20),
            moments in prop::collection::vec(0..200u64, 2),
        ) {
            let mut all = Readings::default();
            let (mut at, mut used) = (0, 0);
            for (later, more) in steps {
                at += later;
                used += more;
                all.add(MonotonicNs(at), used);
            }
            let (low, high) = (moments[0].min(moments[1]), moments[0].max(moments[1]));
            if let (Some(low), Some(high)) = (all.at(MonotonicNs(low)), all.at(MonotonicNs(high))) {
                prop_assert!(low <= high);
            }
        }
    }
}
