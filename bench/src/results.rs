use std::collections::HashMap;

use rand::SeedableRng;
use serde::{Deserialize, Serialize};

use crate::statistics::{PairedComparison, Random, Summary};
use crate::{Contender, Metric, Sample, Series};

/// What a series says of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricResult {
    /// Which.
    pub metric: Metric,
    /// Of each contender, in the order in which they are shown.
    pub rows: Vec<ResultRow>,
}

/// What a series says of one metric of one contender.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResultRow {
    /// Whose.
    pub contender: Contender,
    /// Its times, in nanoseconds; `None` if every run failed.
    pub summary: Option<Summary>,
    /// How many runs failed.
    pub failures: usize,
    /// How it compares; `None` where there is nothing to hold it against.
    pub against: Option<Against>,
}

impl ResultRow {
    /// How many runs there were, and how many of them failed, in words.
    pub(crate) fn runs(&self) -> String {
        let good = self.summary.map_or(0, |summary| summary.count);
        match self.failures {
            0 => good.to_string(),
            failures => format!("{good}, {failures} failed"),
        }
    }
}

/// A series held against that of another contender.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Against {
    /// Which other.
    pub reference: Contender,
    /// What came of it.
    pub comparison: PairedComparison,
}

/// What follows from a series of these contenders, metric by metric. Runs of the same round are a
/// pair, if both succeeded.
pub(crate) fn of_series(series: &Series, contenders: &[Contender]) -> Vec<MetricResult> {
    // Drawn from the series' own seed, so that the report can be made again from its samples.
    let mut random = Random::seed_from_u64(series.seed);
    let of_metric = |&metric: &Metric| MetricResult {
        metric,
        rows: contenders
            .iter()
            .filter(|contender| contender.has(metric))
            .map(|&contender| row(series, contender, &|sample| metric.of(sample), &mut random))
            .collect(),
    };
    series.metrics.iter().map(of_metric).collect()
}

/// What a series says of one contender by what `value` takes from each run.
pub(crate) fn row(
    series: &Series,
    contender: Contender,
    value: &dyn Fn(&Sample) -> Option<u64>,
    random: &mut Random,
) -> ResultRow {
    let values: Vec<_> = series.timed(contender).filter_map(value).collect();
    ResultRow {
        contender,
        summary: Summary::of(&values),
        failures: series.timed(contender).filter(|it| it.has_failed()).count(),
        against: contender.reference().and_then(|reference| {
            let pairs = pairs(series, contender, reference, value);
            let comparison = PairedComparison::of(&pairs, random)?;
            Some(Against {
                reference,
                comparison,
            })
        }),
    }
}

fn pairs(
    series: &Series,
    contender: Contender,
    reference: Contender,
    value: &dyn Fn(&Sample) -> Option<u64>,
) -> Vec<(u64, u64)> {
    let others = series.timed(reference);
    let others: HashMap<_, _> = others.map(|other| (other.round, other)).collect();
    let pair = |sample: &Sample| {
        let other = others.get(&sample.round)?;
        Some((value(sample)?, value(other)?))
    };
    series.timed(contender).filter_map(pair).collect()
}
