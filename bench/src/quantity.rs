use std::fmt;

use serde::{Deserialize, Serialize};

use crate::measurand::Measurand;
use crate::{Comparison, Metric, ResultRow, Sample};

/// What there is a series of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// What is measured from outside.
    Metric(Metric),
    /// What the workload reports of itself, by its name.
    Figure(String),
}

impl Quantity {
    /// All that a comparison has.
    pub(crate) fn all(comparison: &Comparison) -> impl Iterator<Item = Self> {
        let metrics = comparison.results.iter().map(|it| Self::Metric(it.metric));
        let figures = comparison.figures.iter();
        metrics.chain(figures.map(|it| Self::Figure(it.figure.clone())))
    }

    /// What a comparison says of it, contender by contender.
    pub(crate) fn rows<'a>(&self, comparison: &'a Comparison) -> Vec<&'a ResultRow> {
        match self {
            Self::Metric(metric) => {
                let results = comparison.results.iter();
                let found = results.filter(|it| it.metric == *metric);
                found.flat_map(|it| &it.rows).collect()
            }
            Self::Figure(name) => {
                let figures = comparison.figures.iter();
                let found = figures.filter(|it| it.figure == *name);
                let rows = found.flat_map(|it| &it.rows);
                rows.map(|row| &row.of_runs).collect()
            }
        }
    }

    /// What its values are.
    pub(crate) fn measurand(&self) -> Measurand {
        match self {
            Self::Metric(metric) => metric.measurand(),
            Self::Figure(_) => Measurand::Duration,
        }
    }

    /// What a run says of it, in its unit; nothing if it failed.
    pub(crate) fn of(&self, sample: &Sample) -> Option<u64> {
        match self {
            Self::Metric(metric) => metric.of(sample),
            Self::Figure(name) => Some(sample.figure(name)?.p50_ns),
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metric(metric) => metric.fmt(f),
            Self::Figure(name) => f.write_str(name),
        }
    }
}
