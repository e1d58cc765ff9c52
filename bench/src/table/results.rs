//! What the timed runs say.

use comfy_table::{Cell, CellAlignment};

use super::{finish, paragraph, table};
use crate::measurand::Measurand;
use crate::statistics::{CONFIDENCE, MARGIN, SIGNIFICANCE, TAIL_FROM, Verdict};
use crate::units::{or_none, p_value, time};
use crate::{Against, Comparison, Contender, Ended, MetricResult, ResultRow, Series};

/// A table for each metric, and how they came about.
pub(super) fn render(comparison: &Comparison, series: &Series, width: u16) -> String {
    let results = comparison.results.iter();
    let mut parts: Vec<_> = results.map(|result| one(result, width)).collect();
    parts.push(paragraph::fill(&method(series, &comparison.results), width));
    parts.join("\n\n")
}

fn one(result: &MetricResult, width: u16) -> String {
    let measurand = result.metric.measurand();
    let mut table = table(width);
    let has_tail = result.rows.iter().any(|row| tail(row).is_some());
    let heads = [
        Some(result.metric.to_string()),
        Some("runs".into()),
        Some("p50".into()),
        Some("p90".into()),
        has_tail.then(|| "p99".into()),
        Some("max".into()),
        Some("verdict".into()),
    ];
    table.set_header(heads.into_iter().flatten());
    for row in &result.rows {
        let figure = |value: Option<u64>| right(or_none(value, |it| measurand.amount(it)));
        let verdict = row.against.as_ref().map_or_else(String::new, |it| {
            measurand.in_words(it.comparison.verdict, it.comparison.ratio)
        });
        let cells = [
            Some(Cell::new(row.contender)),
            Some(right(row.runs())),
            Some(figure(row.summary.map(|it| it.p50))),
            Some(figure(row.summary.map(|it| it.p90))),
            has_tail.then(|| figure(tail(row))),
            Some(figure(row.summary.map(|it| it.max))),
            Some(Cell::new(verdict)),
        ];
        table.add_row(cells.into_iter().flatten());
    }
    let rows = result.rows.iter();
    let differences =
        rows.filter_map(|row| Some(by_how_much(measurand, row, row.against.as_ref()?)));
    let lines: Vec<_> = std::iter::once(finish(&table)).chain(differences).collect();
    lines.join("\n")
}

pub(super) fn right(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn tail(row: &ResultRow) -> Option<u64> {
    row.summary?.p99
}

fn by_how_much(measurand: Measurand, row: &ResultRow, against: &Against) -> String {
    let comparison = &against.comparison;
    let head = format!(" {} against {}: ", row.contender, against.reference);
    let middle = measurand.difference(comparison.difference);
    if comparison.verdict == Verdict::TooFewPairs {
        return format!("{head}{middle}");
    }
    format!(
        "{head}{middle} ({} to {}), {}",
        measurand.difference(comparison.interval.low),
        measurand.difference(comparison.interval.high),
        p_value(comparison.p),
    )
}

/// Why there are fewer runs than were asked for, in a sentence.
pub(crate) fn cut_short(series: &Series) -> Option<String> {
    match series.ended {
        Ended::Complete => None,
        Ended::OutOfTime => Some(format!(
            "There was no time for {} runs of {} in {} (--budget-time).",
            series.runs_asked,
            those_with_fewer(series),
            time(series.budget_ns),
        )),
        Ended::Interrupted => Some(format!(
            "It was interrupted after {} of {} rounds.",
            series.rounds, series.runs_asked
        )),
    }
}

/// Who has run less often than was asked for, with how often; "each" if there is nobody else.
fn those_with_fewer(series: &Series) -> String {
    let mut had = Vec::<(Contender, usize)>::new();
    for sample in series.samples.iter().filter(|it| !it.is_warm_up) {
        match had.iter_mut().find(|(who, _)| *who == sample.contender) {
            Some((_, runs)) => *runs += 1,
            None => had.push((sample.contender, 1)),
        }
    }
    let fewer = had.iter().filter(|(_, runs)| *runs < series.runs_asked);
    let fewer: Vec<_> = fewer.map(|(who, runs)| format!("{who} ({runs})")).collect();
    if fewer.is_empty() || fewer.len() == had.len() {
        "each".into()
    } else {
        fewer.join(", ")
    }
}

/// How the figures came about, and what the words mean.
fn method(series: &Series, results: &[MetricResult]) -> String {
    let warm_up = series.samples.iter().filter(|it| it.is_warm_up).count();
    let mut text = format!(
        "{} rounds in {}, in random order and then backwards (seed {}); ",
        series.rounds,
        time(series.took_ns),
        series.seed,
    );
    if warm_up > 0 {
        text.push_str(&format!("{warm_up} runs before them only warmed up; "));
    }
    text.push_str(&format!(
        "one run each way was checked before. Verdicts are about the median of the differences \
         within rounds, with its {:.0} % bootstrap interval; faster and slower also need a \
         Mann-Whitney p below {SIGNIFICANCE}, equivalent is a difference of less than {:.0} %.",
        CONFIDENCE * 100.0,
        MARGIN * 100.0,
    ));
    let mut rows = results.iter().flat_map(|result| &result.rows);
    if rows.any(|row| tail(row).is_some()) {
        text.push_str(&format!(" p99 is told from {TAIL_FROM} runs on."));
    }
    if let Some(sentence) = cut_short(series) {
        text.push_str(&format!(" {sentence}"));
    }
    text
}
