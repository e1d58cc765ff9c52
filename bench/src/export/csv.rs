use super::Measured;
use crate::measurand::Measurand;
use crate::{Comparison, ResultRow};

/// A table for spreadsheets, RFC 4180: a row for each workload, metric and contender, in the unit
/// that it names; what is not known is empty. A figure that the workload reports is a metric
/// `reported NAME`: its rows are of what runs reported as the median, and the 99th percentile is the
/// one that they reported. `cpu of NAME` is the processor time of one such operation.
pub fn csv(all: &[Measured]) -> String {
    let mut text = String::from(
        "workload,metric,unit,contender,runs,failures,min,p50,p90,p99,max,\
         reference,difference,interval_low,interval_high,ratio,p,verdict\r\n",
    );
    for measured in all {
        for row in rows(&measured.comparison) {
            text.push_str(&line(&fields(&measured.name, row)));
        }
    }
    text
}

/// A row of the table.
struct Row<'a> {
    metric: String,
    measurand: Measurand,
    result: &'a ResultRow,
    p99: Option<u64>,
}

/// All of a comparison.
fn rows(comparison: &Comparison) -> impl Iterator<Item = Row<'_>> {
    let metrics = comparison.results.iter().flat_map(|of_metric| {
        let metric = of_metric.metric;
        of_metric.rows.iter().map(move |result| Row {
            metric: metric.word().to_owned(),
            measurand: metric.measurand(),
            result,
            p99: result.summary.and_then(|it| it.p99),
        })
    });
    let figures = comparison.figures.iter().flat_map(|of_figure| {
        let name = &of_figure.figure;
        let reported = of_figure.rows.iter().map(move |row| Row {
            metric: format!("reported {name}"),
            measurand: Measurand::Duration,
            result: &row.of_runs,
            p99: row.p99_ns,
        });
        let cpu = of_figure.rows.iter().filter_map(move |row| {
            let cpu = row.cpu.as_ref()?;
            Some(Row {
                metric: format!("cpu of {name}"),
                measurand: Measurand::ProcessorTime,
                result: cpu,
                p99: cpu.summary.and_then(|it| it.p99),
            })
        });
        reported.chain(cpu)
    });
    metrics.chain(figures)
}

fn fields(workload: &str, row: Row<'_>) -> Vec<String> {
    let Row {
        metric,
        measurand,
        result: row,
        p99,
    } = row;
    let number = |value: Option<u64>| value.map_or_else(String::new, |it| it.to_string());
    let summary = row.summary;
    let mut fields = vec![
        workload.to_owned(),
        metric,
        measurand.unit().to_owned(),
        row.contender.to_string(),
        summary.map_or(0, |it| it.count).to_string(),
        row.failures.to_string(),
        number(summary.map(|it| it.min)),
        number(summary.map(|it| it.p50)),
        number(summary.map(|it| it.p90)),
        number(p99),
        number(summary.map(|it| it.max)),
    ];
    match &row.against {
        None => fields.extend(std::iter::repeat_n(String::new(), 7)),
        Some(against) => {
            let comparison = &against.comparison;
            fields.extend([
                against.reference.to_string(),
                comparison.difference.to_string(),
                comparison.interval.low.to_string(),
                comparison.interval.high.to_string(),
                comparison
                    .ratio
                    .map_or_else(String::new, |it| it.to_string()),
                comparison.p.to_string(),
                measurand.word(comparison.verdict).to_owned(),
            ]);
        }
    }
    fields
}

/// A record, RFC 4180.
pub(super) fn line(fields: &[String]) -> String {
    let fields: Vec<_> = fields.iter().map(|it| quoted(it)).collect();
    fields.join(",") + "\r\n"
}

/// A user's word may hold what separates fields, and so does the name of `jaula run, vm cold`.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
