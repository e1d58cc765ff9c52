//! Figures that a workload reports of itself: what can only be measured from inside.
//!
//! They are read from its standard output, which is as hostile as all that comes from inside: see
//! [`Reported::read`] for their form.

mod distribution;
mod parse;
mod processor;
mod results;
mod table;
mod tally;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::Captured;

pub use parse::ReportError;
pub(crate) use processor::Readings;
pub use results::{FigureResult, FigureRow};
pub(crate) use results::{of_checked, of_series};
pub(crate) use table::{Table, tables};
pub(crate) use tally::{Tally, tallies};

/// A workload's clock and the host's may differ by this share of what the host's says: the first and
/// the last line are on their way for some milliseconds.
const TOLERANCE: f64 = 0.1;

/// What a workload says of one operation that it measured many times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figure {
    /// Which operation: small letters, digits and `-`.
    pub name: String,
    /// How many values the quantiles are of.
    pub values: u64,
    /// How many operations each value is the mean of.
    pub batch: u64,
    /// The median, in nanoseconds of the workload's clock for one operation.
    pub p50_ns: u64,
    /// The 99th percentile, likewise, if there are enough values to tell.
    pub p99_ns: Option<u64>,
    /// Values from the least to the most with as many of all between any two, likewise; none if they
    /// were not told.
    #[serde(default)]
    pub quantiles_ns: Vec<u64>,
    /// When it was measured, likewise, from the first line of the report; from the figure before on. If
    /// it is told.
    pub until_ns: Option<u64>,
    /// The processor time of all that serves the instance for one operation, in nanoseconds; `None` if it
    /// was not to be read, or can't be told.
    pub cpu_ns: Option<u64>,
}

/// What a workload reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// Its figures; no two have the same name.
    pub figures: Vec<Figure>,
    /// How long it took in all, by the workload's clock.
    pub took_ns: u64,
    /// How long it took by the host's: from the arrival of the first line to that of the last.
    pub host_ns: u64,
}

impl Reported {
    /// The figure of this name.
    pub fn figure(&self, name: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.name == name)
    }

    /// Whether the workload's clock ran as the host's did.
    pub(crate) fn agrees_with_host(&self) -> bool {
        (self.pace() - 1.0).abs() <= TOLERANCE
    }

    /// How fast the workload's clock ran: 1 is as fast as the host's.
    pub(crate) fn pace(&self) -> f64 {
        // No time at all is a nanosecond, so that there is a number for it, and two of them agree.
        self.took_ns.max(1) as f64 / self.host_ns.max(1) as f64
    }
}

/// What of an output must be the same from all: of reported figures the names alone.
pub(crate) fn comparable<'a>(
    stdout: &'a Captured,
    reported: Option<&Reported>,
) -> Cow<'a, Captured> {
    match reported {
        None => Cow::Borrowed(stdout),
        Some(reported) => {
            let names = reported.figures.iter();
            let names: Vec<_> = names.map(|figure| figure.name.as_str()).collect();
            Cow::Owned(Captured::of_text(names.join("\n")))
        }
    }
}
