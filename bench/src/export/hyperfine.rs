use serde::Serialize;

use super::Measured;
use crate::statistics::median;
use crate::{Contender, Metric, Sample, SampleOutcome, Series};

/// What `hyperfine --export-json` writes, for programs that read that: a result for each workload and
/// contender. A time is from launch to exit; where runs were not followed so far, to main. In seconds.
pub fn hyperfine(all: &[Measured]) -> String {
    let results: Vec<_> = all.iter().flat_map(results).collect();
    let document = Document { results };
    // Nothing in it can't be written.
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

#[derive(Serialize)]
struct Document {
    results: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    command: String,
    mean: f64,
    stddev: Option<f64>,
    median: f64,
    min: f64,
    max: f64,
    times: Vec<f64>,
    exit_codes: Vec<Option<i32>>,
}

fn results(measured: &Measured) -> Vec<Entry> {
    let comparison = &measured.comparison;
    let Some(series) = &comparison.series else {
        return Vec::new();
    };
    let metrics = [Metric::Exit, Metric::Main];
    let found = metrics.iter().find_map(|&metric| {
        let result = comparison.results.iter().find(|it| it.metric == metric)?;
        Some((metric, result))
    });
    let Some((metric, result)) = found else {
        return Vec::new();
    };
    let contenders = result.rows.iter().map(|row| row.contender);
    contenders
        .filter_map(|contender| {
            let runs = runs(series, metric, contender);
            entry(format!("{} ({contender})", measured.name), runs)
        })
        .collect()
}

/// Those that did not fail: how long each took, in seconds, and its exit code, if it was followed so
/// far.
fn runs(series: &Series, metric: Metric, contender: Contender) -> Vec<(f64, Option<i32>)> {
    let exit_code = |sample: &Sample| match sample.outcome {
        SampleOutcome::Ended { exit_code } => Some(exit_code.into()),
        _ => None,
    };
    series
        .timed(contender)
        .filter_map(|sample| Some((metric.of(sample)? as f64 / 1e9, exit_code(sample))))
        .collect()
}

/// `None` without a run: a mean of nothing is none.
fn entry(command: String, runs: Vec<(f64, Option<i32>)>) -> Option<Entry> {
    let (times, exit_codes): (Vec<_>, Vec<_>) = runs.into_iter().unzip();
    let count = times.len() as f64;
    let mean = times.iter().sum::<f64>() / count;
    let squares: f64 = times.iter().map(|time| (time - mean).powi(2)).sum();
    Some(Entry {
        command,
        mean,
        stddev: (times.len() > 1).then(|| (squares / (count - 1.0)).sqrt()),
        median: median(&times)?,
        min: times.iter().copied().reduce(f64::min)?,
        max: times.iter().copied().reduce(f64::max)?,
        exit_codes,
        times,
    })
}
