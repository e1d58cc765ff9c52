use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::MonotonicNs;

/// A named stretch of time that ends where the next one begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// What was done in it ("mounts", "kernel boot").
    pub name: Cow<'static, str>,
    /// How long it took, in nanoseconds.
    pub duration_ns: u64,
}

/// Where the time of a launch went: contiguous spans on the host's `CLOCK_MONOTONIC` that start
/// at the entry of `launch()`.
///
/// It is built from marks, each of which ends a span, so the spans sum to the total by
/// construction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    #[serde(rename = "start_ns")]
    start: MonotonicNs,
    spans: Vec<Span>,
    spans_before_main: Option<usize>,
}

impl Timeline {
    /// An empty timeline that starts at `start`.
    pub fn starting(start: MonotonicNs) -> Self {
        Self {
            start,
            spans: Vec::new(),
            spans_before_main: None,
        }
    }

    /// Ends a span at `end`. One that would end before it began is taken to have no length.
    pub fn mark(&mut self, name: impl Into<Cow<'static, str>>, end: MonotonicNs) {
        self.spans.push(Span {
            name: name.into(),
            duration_ns: end.since(self.end()),
        });
    }

    /// Ends a span at `end`, the moment when the doorbell rang.
    pub fn mark_main(&mut self, name: impl Into<Cow<'static, str>>, end: MonotonicNs) {
        self.mark(name, end);
        self.spans_before_main = Some(self.spans.len());
    }

    /// The same with an earlier start, and a span from there to where it started.
    #[must_use]
    pub fn begun_before(mut self, start: MonotonicNs, name: impl Into<Cow<'static, str>>) -> Self {
        let before = Span {
            name: name.into(),
            duration_ns: self.start.since(start),
        };
        self.spans.insert(0, before);
        self.spans_before_main = self.spans_before_main.map(|n| n + 1);
        Self { start, ..self }
    }

    /// What of it leads to the doorbell; `None` if that has not rung.
    pub fn to_main(&self) -> Option<Self> {
        let count = self.spans_before_main?;
        Some(Self {
            spans: self.spans[..count].to_vec(),
            ..*self
        })
    }

    /// When it starts.
    pub fn start(&self) -> MonotonicNs {
        self.start
    }

    /// When its last span ends.
    pub fn end(&self) -> MonotonicNs {
        MonotonicNs(self.start.0 + self.total_ns())
    }

    /// The spans in the order in which they happened.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// From the start to the last mark, in nanoseconds.
    pub fn total_ns(&self) -> u64 {
        sum(&self.spans)
    }

    /// From the start to the doorbell, in nanoseconds; `None` if it has not rung.
    pub fn launch_to_main_ns(&self) -> Option<u64> {
        self.spans_before_main.map(|n| sum(&self.spans[..n]))
    }
}

fn sum(spans: &[Span]) -> u64 {
    spans.iter().map(|span| span.duration_ns).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_sum_to_the_total_even_if_marks_come_out_of_order() {
        let mut timeline = Timeline::starting(MonotonicNs(100));
        timeline.mark("a", MonotonicNs(150));
        timeline.mark("b", MonotonicNs(140));
        timeline.mark_main("c", MonotonicNs(200));
        timeline.mark("d", MonotonicNs(260));
        let durations: Vec<_> = timeline.spans().iter().map(|s| s.duration_ns).collect();
        assert_eq!(durations, [50, 0, 50, 60]);
        assert_eq!(timeline.total_ns(), 160);
        assert_eq!(timeline.end(), MonotonicNs(260));
        assert_eq!(timeline.launch_to_main_ns(), Some(100));
    }

    #[test]
    fn what_was_before_it_is_its_first_span() {
        let mut timeline = Timeline::starting(MonotonicNs(100));
        timeline.mark_main("a", MonotonicNs(150));
        timeline.mark("b", MonotonicNs(190));
        let start = timeline.to_main().unwrap();
        let whole = start.begun_before(MonotonicNs(70), "before");
        assert_eq!(whole.start(), MonotonicNs(70));
        assert_eq!(whole.launch_to_main_ns(), Some(80));
        assert_eq!(whole.end(), MonotonicNs(150));
    }

    #[test]
    fn without_a_doorbell_there_is_no_launch_to_main() {
        let mut timeline = Timeline::starting(MonotonicNs(0));
        timeline.mark("a", MonotonicNs(1));
        assert_eq!(timeline.launch_to_main_ns(), None);
        assert_eq!(timeline.to_main(), None);
    }
}
