use super::Measured;
use crate::{Comparison, ResultRow};

/// A table for spreadsheets, RFC 4180: a row for each workload, metric and contender. Times are in
/// nanoseconds; what is not known is empty. A figure that the workload reports is a metric
/// `reported NAME`: its rows are of what runs reported as the median, and the 99th percentile is the
/// one that they reported.
pub fn csv(all: &[Measured]) -> String {
    let mut text = String::from(
        "workload,metric,contender,runs,failures,min_ns,p50_ns,p90_ns,p99_ns,max_ns,\
         reference,difference_ns,interval_low_ns,interval_high_ns,ratio,p,verdict\r\n",
    );
    for measured in all {
        for (metric, row, p99_ns) in rows(&measured.comparison) {
            let fields = fields(&measured.name, metric, row, p99_ns);
            text.push_str(&fields.join(","));
            text.push_str("\r\n");
        }
    }
    text
}

/// All of a comparison, each with what it is of and its 99th percentile.
fn rows(comparison: &Comparison) -> impl Iterator<Item = (String, &ResultRow, Option<u64>)> {
    let metrics = comparison.results.iter().flat_map(|result| {
        let metric = result.metric.word();
        let rows = result.rows.iter();
        rows.map(move |row| {
            let p99_ns = row.summary.and_then(|it| it.p99);
            (metric.to_owned(), row, p99_ns)
        })
    });
    let figures = comparison.figures.iter().flat_map(|result| {
        let metric = format!("reported {}", result.figure);
        let rows = result.rows.iter();
        rows.map(move |row| (metric.clone(), &row.of_runs, row.p99_ns))
    });
    metrics.chain(figures)
}

fn fields(workload: &str, metric: String, row: &ResultRow, p99_ns: Option<u64>) -> Vec<String> {
    let number = |value: Option<u64>| value.map_or_else(String::new, |it| it.to_string());
    let summary = row.summary;
    let mut fields = vec![
        quoted(workload),
        metric,
        row.contender.to_string(),
        summary.map_or(0, |it| it.count).to_string(),
        row.failures.to_string(),
        number(summary.map(|it| it.min)),
        number(summary.map(|it| it.p50)),
        number(summary.map(|it| it.p90)),
        number(p99_ns),
        number(summary.map(|it| it.max)),
    ];
    match &row.against {
        None => fields.extend(std::iter::repeat_n(String::new(), 7)),
        Some(against) => {
            let comparison = &against.comparison;
            fields.extend([
                against.reference.to_string(),
                comparison.difference_ns.to_string(),
                comparison.interval_ns.low.to_string(),
                comparison.interval_ns.high.to_string(),
                comparison
                    .ratio
                    .map_or_else(String::new, |it| it.to_string()),
                comparison.p.to_string(),
                comparison.verdict.to_string(),
            ]);
        }
    }
    fields
}

/// A user's word: it may hold what separates fields.
pub(super) fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
