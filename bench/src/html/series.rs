//! What the charts draw of the timed runs.

use launch::Span;

use crate::table::spans_of;
use crate::{Comparison, Contender, Metric, Sample, Series};

/// What is drawn of one contender.
pub(super) struct Drawn<'a> {
    pub contender: Contender,
    pub samples: Vec<&'a Sample>,
}

impl Drawn<'_> {
    /// The values of a metric, ascending, in nanoseconds; those of runs that failed are none.
    pub fn values(&self, metric: Metric) -> Vec<u64> {
        let samples = self.samples.iter();
        let mut values: Vec<_> = samples.filter_map(|sample| metric.of(sample)).collect();
        values.sort_unstable();
        values
    }
}

/// Those that were timed, in the order in which they are shown, without what warmed up.
pub(super) fn drawn<'a>(comparison: &Comparison, series: &'a Series) -> Vec<Drawn<'a>> {
    let is_drawn = |contender: &Contender| {
        let timed = comparison.results.iter().flat_map(|result| &result.rows);
        let reporting = comparison.figures.iter().flat_map(|result| &result.rows);
        let mut rows = timed.chain(reporting.map(|row| &row.of_runs));
        rows.any(|row| row.contender == *contender)
    };
    let of = |contender| Drawn {
        contender,
        samples: series.timed(contender).collect(),
    };
    let all = Contender::all().filter(is_drawn).map(of);
    all.filter(|drawn| !drawn.samples.is_empty()).collect()
}

/// The span in which the command runs: what is before it is the start.
const RUN: &str = "run";

/// Where the time of a start went: in the median run, or in the one that was checked.
pub(super) fn spans(comparison: &Comparison) -> Vec<(Contender, &[Span])> {
    let ways = comparison.ways.as_ref().into_array();
    ways.into_iter()
        .map(|report| (report.way.into(), start(spans_of(comparison, report))))
        .filter(|(_, spans): &(Contender, &[Span])| !spans.is_empty())
        .collect()
}

fn start(spans: &[Span]) -> &[Span] {
    let end = spans.iter().position(|span| span.name == RUN);
    &spans[..end.unwrap_or(spans.len())]
}
