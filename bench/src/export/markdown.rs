use super::plain::plain;
use super::{Measured, Unmeasured, load};
use crate::budget::Judgement;
use crate::changes::{Change, Changes};
use crate::measurand::Measurand;
use crate::reported::tables;
use crate::statistics::Verdict;
use crate::table::{cut_short, notes};
use crate::units::{or_none, three_digits};
use crate::{Comparison, Durability, FigureResult, MetricResult, ResultRow};

/// Tables for a pull request or a page, one for each workload and metric.
pub fn markdown(all: &[Measured]) -> String {
    let mut text = String::new();
    for measured in all {
        text.push_str(&format!("## {}\n\n", plain(&measured.name)));
        if !measured.about.is_empty() {
            text.push_str(&format!("{}\n\n", plain(&measured.about)));
        }
        for result in &measured.comparison.results {
            text.push_str(&table(result));
        }
        text.push_str(&figures(&measured.comparison.figures));
        text.push_str(&load::markdown(&measured.comparison.load));
        let remarks = remarks(&measured.comparison);
        for remark in &remarks {
            text.push_str(&format!("- {}\n", plain(remark)));
        }
        if !remarks.is_empty() {
            text.push('\n');
        }
    }
    if let Some(first) = all.first() {
        text.push_str(&format!(
            "{}\n",
            plain(&first.comparison.environment.to_string())
        ));
    }
    text
}

/// What must be known to read the tables, a sentence each.
fn remarks(comparison: &Comparison) -> Vec<String> {
    let notes = notes(comparison);
    let notes = notes.iter().map(|note| format!("Note: {note}."));
    let of_files = comparison.has_figures_of_files();
    let durability = comparison.durability.iter().filter(|_| of_files);
    let warnings = comparison.warnings.iter();
    (comparison.series.iter().filter_map(cut_short))
        .chain(durability.map(Durability::sentence))
        .chain(notes)
        .chain(warnings.map(|it| format!("{} {}.", it.id, it.detail)))
        .collect()
}

/// What changed since a baseline, likewise.
pub fn markdown_of_changes(changes: &Changes) -> String {
    let mut text = String::from("## Since the baseline\n\n");
    if !changes.rows.is_empty() {
        text.push_str(&format!("{}\n\n", changes.in_short()));
        text.push_str(&rows(Changes::HEADS, changes.rows.iter().map(Change::row)));
        text.push_str(&format!("{}\n\n", Changes::METHOD));
    }
    for note in changes.notes() {
        text.push_str(&format!("- {}.\n", plain(note)));
    }
    text
}

/// What could not be measured, and why.
pub fn markdown_of_unmeasured(unmeasured: &[Unmeasured]) -> String {
    let line = |it: &Unmeasured| format!("- {}: {}.\n", plain(&it.name), plain(&it.reason));
    let lines: String = unmeasured.iter().map(line).collect();
    format!("## Not measured\n\n{lines}")
}

/// What came of a budget, likewise.
pub fn markdown_of_judgements(judgements: &[Judgement<'_>]) -> String {
    let rows = rows(Judgement::HEADS, judgements.iter().map(Judgement::row));
    format!("## Budget\n\n{rows}")
}

fn rows<const N: usize>(heads: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut text = format!("| {} |\n|{}\n", heads.join(" | "), "---|".repeat(N));
    for row in rows {
        text.push_str(&format!(
            "| {} |\n",
            row.map(|cell| plain(&cell)).join(" | ")
        ));
    }
    text.push('\n');
    text
}

fn table(result: &MetricResult) -> String {
    let measurand = result.metric.measurand();
    let mut text = format!(
        "| {} | runs | p50 | p90 | max | verdict |\n|---|---:|---:|---:|---:|---|\n",
        result.metric
    );
    for row in &result.rows {
        let figure = |value: Option<u64>| or_none(value, |it| measurand.amount(it));
        let summary = row.summary;
        text.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} |\n",
            row.contender,
            row.runs(),
            figure(summary.map(|it| it.p50)),
            figure(summary.map(|it| it.p90)),
            figure(summary.map(|it| it.max)),
            verdict(measurand, row),
        ));
    }
    text.push('\n');
    text
}

/// What the workload reports of itself.
fn figures(figures: &[FigureResult]) -> String {
    let mut text = String::new();
    for of in tables(figures) {
        let heads: Vec<_> = of.heads().collect();
        text.push_str(&format!(
            "| {} | | runs | {} | verdict |\n|---|---|---:|{}---|\n",
            of.head,
            heads.join(" | "),
            "---:|".repeat(heads.len()),
        ));
        for result in figures {
            for (row, values) in of.rows(result) {
                text.push_str(&format!(
                    "| {} | {} | {} | {} | {} |\n",
                    plain(&result.figure),
                    row.contender,
                    row.runs(),
                    values.join(" | "),
                    verdict(of.measurand, row),
                ));
            }
        }
        text.push('\n');
    }
    text
}

fn verdict(measurand: Measurand, row: &ResultRow) -> String {
    let Some(against) = &row.against else {
        return String::new();
    };
    let comparison = &against.comparison;
    match (comparison.verdict, comparison.ratio) {
        (Verdict::Faster | Verdict::Slower, Some(ratio)) => format!(
            "{} than {}, {} times",
            measurand.word(comparison.verdict),
            against.reference,
            three_digits(ratio)
        ),
        (verdict, _) => measurand.word(verdict).to_owned(),
    }
}
