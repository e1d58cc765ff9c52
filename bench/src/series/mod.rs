//! Timed runs, one after another, and what is kept of each.
//!
//! [`run`] lets contenders take turns as a [`Schedule`] says and keeps every [`Sample`]. What
//! follows from them is for `results`.

mod metric;
mod sample;
mod schedule;
mod turns;

pub use metric::{Metric, UnknownMetric};
pub use sample::{Sample, SampleOutcome};
pub use schedule::Schedule;
pub use turns::{Ended, Entrant, Series, SeriesPlan, run};
