use std::fmt;

use serde::{Deserialize, Serialize};

use crate::measurand::Measurand;
use crate::{Comparison, FigureRow, Metric, ResultRow, Sample};

/// What there is a series of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// What is measured from outside.
    Metric(Metric),
    /// What the workload reports of itself, by its name.
    Figure(String),
    /// The processor time of one of the operations that such a figure is of.
    CpuOfFigure(String),
}

impl Quantity {
    /// All that a comparison has.
    pub(crate) fn all(comparison: &Comparison) -> impl Iterator<Item = Self> {
        let metrics = comparison.results.iter().map(|it| Self::Metric(it.metric));
        let figures = comparison.figures.iter().flat_map(|it| {
            let cpu = it.rows.iter().any(|row| row.cpu.is_some());
            let cpu = cpu.then(|| Self::CpuOfFigure(it.figure.clone()));
            std::iter::once(Self::Figure(it.figure.clone())).chain(cpu)
        });
        metrics.chain(figures)
    }

    /// What a comparison says of it, contender by contender.
    pub(crate) fn rows<'a>(&self, comparison: &'a Comparison) -> Vec<&'a ResultRow> {
        match self {
            Self::Metric(metric) => {
                let results = comparison.results.iter();
                let found = results.filter(|it| it.metric == *metric);
                found.flat_map(|it| &it.rows).collect()
            }
            Self::Figure(name) => of_figure(comparison, name)
                .map(|row| &row.of_runs)
                .collect(),
            Self::CpuOfFigure(name) => of_figure(comparison, name)
                .filter_map(|row| row.cpu.as_ref())
                .collect(),
        }
    }

    /// What its values are.
    pub(crate) fn measurand(&self) -> Measurand {
        match self {
            Self::Metric(metric) => metric.measurand(),
            Self::Figure(_) => Measurand::Duration,
            Self::CpuOfFigure(_) => Measurand::ProcessorTime,
        }
    }

    /// What a run says of it, in its unit; nothing if it failed.
    pub(crate) fn of(&self, sample: &Sample) -> Option<u64> {
        match self {
            Self::Metric(metric) => metric.of(sample),
            Self::Figure(name) => Some(sample.figure(name)?.p50_ns),
            Self::CpuOfFigure(name) => sample.figure(name)?.cpu_ns,
        }
    }
}

fn of_figure<'a>(comparison: &'a Comparison, name: &str) -> impl Iterator<Item = &'a FigureRow> {
    let figures = comparison.figures.iter();
    figures
        .filter(move |it| it.figure == name)
        .flat_map(|it| &it.rows)
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metric(metric) => metric.fmt(f),
            Self::Figure(name) => f.write_str(name),
            Self::CpuOfFigure(name) => write!(f, "{name}, CPU each"),
        }
    }
}
