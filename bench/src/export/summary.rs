use super::Measured;

/// All that follows from the runs, as JSON, without the single runs, which are in a file of their own.
pub fn summary(all: &[Measured]) -> String {
    let without_samples = |measured: &Measured| {
        let mut measured = measured.clone();
        if let Some(series) = &mut measured.comparison.series {
            series.samples.clear();
        }
        measured
    };
    let summaries: Vec<_> = all.iter().map(without_samples).collect();
    // No map of it has a key that is no text, and nothing in it can't be written.
    serde_json::to_string_pretty(&summaries).unwrap_or_default()
}
