use serde::Serialize;

use super::Measured;
use crate::Sample;

/// A line of JSON for every timed run, those that failed and those that warmed up among them.
pub fn samples(measured: &Measured) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        workload: &'a str,
        #[serde(flatten)]
        sample: &'a Sample,
    }
    let series = measured.comparison.series.iter();
    let lines = series.flat_map(|series| &series.samples).map(|sample| {
        let line = Line {
            workload: &measured.name,
            sample,
        };
        // No map of it has a key that is no text, and nothing in it can't be written.
        serde_json::to_string(&line).unwrap_or_default() + "\n"
    });
    lines.collect()
}
