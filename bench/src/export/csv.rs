use super::Measured;

/// A table for spreadsheets, RFC 4180: a row for each workload, metric and contender. Times are in
/// nanoseconds; what is not known is empty.
pub fn csv(all: &[Measured]) -> String {
    let mut text = String::from(
        "workload,metric,contender,runs,failures,min_ns,p50_ns,p90_ns,p99_ns,max_ns,\
         reference,difference_ns,interval_low_ns,interval_high_ns,ratio,p,verdict\r\n",
    );
    for measured in all {
        for result in &measured.comparison.results {
            for row in &result.rows {
                let number =
                    |value: Option<u64>| value.map_or_else(String::new, |it| it.to_string());
                let summary = row.summary;
                let mut fields = vec![
                    quoted(&measured.name),
                    result.metric.word().into(),
                    row.contender.to_string(),
                    summary.map_or(0, |it| it.count).to_string(),
                    row.failures.to_string(),
                    number(summary.map(|it| it.min)),
                    number(summary.map(|it| it.p50)),
                    number(summary.map(|it| it.p90)),
                    number(summary.and_then(|it| it.p99)),
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
                text.push_str(&fields.join(","));
                text.push_str("\r\n");
            }
        }
    }
    text
}

/// A user's word: it may hold what separates fields.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
