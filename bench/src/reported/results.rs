use rand::SeedableRng;
use serde::{Deserialize, Serialize};

use super::Figure;
use super::distribution::pooled;
use crate::results::row;
use crate::statistics::{Random, Summary, median};
use crate::{Contender, ResultRow, Series, WayReport, Ways};

/// What a series says of one figure that the workload reports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FigureResult {
    /// Its name.
    pub figure: String,
    /// Of each contender, in the order in which they are shown.
    pub rows: Vec<FigureRow>,
}

/// What a series says of one figure of one contender.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FigureRow {
    /// A run counts with the median that it reported.
    #[serde(flatten)]
    pub of_runs: ResultRow,
    /// The median of the 99th percentiles that runs reported; `None` if none did.
    pub p99_ns: Option<u64>,
    /// Values from the least to the most with as many of all between any two, of all runs together;
    /// none if no run told them.
    #[serde(default)]
    pub quantiles_ns: Vec<u64>,
    /// The median of the runs' processor time for one operation; `None` if it was not read.
    pub cpu_ns: Option<u64>,
}

/// What follows from a series of these contenders, figure by figure.
pub(crate) fn of_series(series: &Series, contenders: &[Contender]) -> Vec<FigureResult> {
    let mut random = Random::seed_from_u64(series.seed);
    let mut of_contender = |name: &str, contender| FigureRow {
        of_runs: row(
            series,
            contender,
            &|sample| Some(sample.figure(name)?.p50_ns),
            &mut random,
        ),
        p99_ns: middle(
            series
                .timed(contender)
                .filter_map(|sample| sample.figure(name)?.p99_ns),
        ),
        quantiles_ns: pooled(
            series
                .timed(contender)
                .filter_map(|sample| Some(&sample.figure(name)?.quantiles_ns[..])),
        ),
        cpu_ns: middle(
            series
                .timed(contender)
                .filter_map(|sample| sample.figure(name)?.cpu_ns),
        ),
    };
    let timed = contenders.iter().flat_map(|&it| series.timed(it));
    let reported = timed.flat_map(|sample| sample.reported.iter().flat_map(|it| &it.figures));
    names(reported)
        .into_iter()
        .map(|name| FigureResult {
            rows: contenders
                .iter()
                .map(|&contender| of_contender(&name, contender))
                .collect(),
            figure: name,
        })
        .collect()
}

/// Where nothing was timed: what the runs say that were checked, with no verdict.
pub(crate) fn of_checked(ways: &Ways<WayReport>) -> Vec<FigureResult> {
    let reports = ways.as_ref().into_array();
    let all = reports.iter().flat_map(|report| &report.reported);
    let names = names(all.flat_map(|reported| &reported.figures));
    let row = |report: &WayReport, name: &str| {
        let figure = report.reported.as_ref()?.figure(name)?;
        Some(FigureRow {
            of_runs: ResultRow {
                contender: report.way.into(),
                summary: Summary::of(&[figure.p50_ns]),
                failures: 0,
                against: None,
            },
            p99_ns: figure.p99_ns,
            quantiles_ns: pooled([&figure.quantiles_ns[..]].into_iter()),
            cpu_ns: figure.cpu_ns,
        })
    };
    names
        .into_iter()
        .map(|name| FigureResult {
            rows: reports
                .iter()
                .filter_map(|report| row(report, &name))
                .collect(),
            figure: name,
        })
        .collect()
}

/// Each once, in the order in which they come.
fn names<'a>(figures: impl Iterator<Item = &'a Figure>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for figure in figures {
        if !names.contains(&figure.name) {
            names.push(figure.name.clone());
        }
    }
    names
}

fn middle(values: impl Iterator<Item = u64>) -> Option<u64> {
    let values: Vec<f64> = values.map(|ns| ns as f64).collect();
    median(&values).map(|ns| ns.round() as u64)
}
