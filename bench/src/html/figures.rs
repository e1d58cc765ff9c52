//! The answer: verdicts in words, then the figures.

use maud::{Markup, html};

use super::{class, id, named};
use super::{environment, reported};
use crate::reported::tallies;
use crate::statistics::{MIN_PAIRS, Verdict};
use crate::table::{cut_short, notes};
use crate::units::{NONE, or_none, time};
use crate::{Against, Comparison, MetricResult, ResultRow, Series};

pub(super) fn section(key: &str, comparison: &Comparison) -> Markup {
    html! {
        section aria-labelledby=(id(key, "answer")) {
            h3.part id=(id(key, "answer")) { "The answer" }
            ul.verdicts {
                @for result in &comparison.results {
                    @for row in &result.rows {
                        @if let Some(against) = row.against.as_ref().filter(|it| has_verdict(it)) {
                            (verdict(result, row, against))
                        }
                    }
                }
                @for tally in tallies(&comparison.figures) {
                    @if tally.figures > 0 { (reported::verdict(&tally)) }
                }
            }
            (without_verdict(comparison))
            @for note in notes(comparison) { p.note { "Note: " (note) "." } }
            @for result in &comparison.results { (table(result)) }
            @if !comparison.figures.is_empty() { (reported::table(&comparison.figures)) }
            @if comparison.has_figures_of_files() {
                @for durability in &comparison.durability { p.note { (durability.sentence()) } }
            }
            (environment::conditions(&comparison.workload))
            @match &comparison.series {
                None => p.note { "Nothing was timed: there are the runs that were checked, one each way." },
                Some(series) => (rounds(series)),
            }
        }
    }
}

fn has_verdict(against: &Against) -> bool {
    against.comparison.verdict != Verdict::TooFewPairs
}

/// What there are too few runs of, in a line for all.
fn without_verdict(comparison: &Comparison) -> Markup {
    let results = comparison.results.iter();
    let mut of_metrics = results
        .flat_map(|it| &it.rows)
        .filter_map(|it| it.against.as_ref());
    let mut of_figures = tallies(&comparison.figures).into_iter();
    html! {
        @if of_metrics.any(|it| !has_verdict(it)) || of_figures.any(|it| it.figures == 0) {
            p.note {
                "What has fewer than " (MIN_PAIRS) " pairs of runs is in the tables, without a verdict."
            }
        }
    }
}

fn verdict(result: &MetricResult, row: &ResultRow, against: &Against) -> Markup {
    let comparison = &against.comparison;
    let measurand = result.metric.measurand();
    let words = measurand.sentence(comparison.verdict, comparison.ratio, against.reference);
    html! {
        li class=(class(row.contender)) {
            strong { (result.metric) ": " (named(row.contender)) " " (words) }
            p {
                "The median difference is " (measurand.difference(comparison.difference))
                " (95 % interval " (measurand.difference(comparison.interval.low))
                " to " (measurand.difference(comparison.interval.high))
                ") over " (comparison.pairs) " pairs, in which the " (against.reference) " took "
                (measurand.amount(comparison.reference_median().round() as u64)) "."
            }
        }
    }
}

fn table(result: &MetricResult) -> Markup {
    let measurand = result.metric.measurand();
    let figure = |value: Option<u64>| or_none(value, |it| measurand.amount(it));
    let has_tail = result
        .rows
        .iter()
        .any(|row| row.summary.is_some_and(|it| it.p99.is_some()));
    html! {
        h4 { (result.metric) }
        div.wide { table {
            thead { tr {
                th scope="col" { "way" }
                th.number scope="col" { "runs" }
                th.number scope="col" { "least" }
                th.number scope="col" { "p50" }
                th.number scope="col" { "p90" }
                @if has_tail { th.number scope="col" { "p99" } }
                th.number scope="col" { "most" }
                th.number scope="col" { "p" }
            } }
            tbody { @for row in &result.rows { tr {
                th scope="row" { (named(row.contender)) }
                td.number { (row.runs()) }
                td.number { (figure(row.summary.map(|it| it.min))) }
                td.number { (figure(row.summary.map(|it| it.p50))) }
                td.number { (figure(row.summary.map(|it| it.p90))) }
                @if has_tail { td.number { (figure(row.summary.and_then(|it| it.p99))) } }
                td.number { (figure(row.summary.map(|it| it.max))) }
                td.number { (or_none(row.against.as_ref(), p_of)) }
            } } }
        } }
    }
}

fn p_of(against: &Against) -> String {
    match (against.comparison.verdict, against.comparison.p) {
        (Verdict::TooFewPairs, _) => NONE.into(),
        (_, ..0.0001) => "< 0.0001".into(),
        (_, p) => format!("{p:.4}"),
    }
}

/// How the runs came about.
fn rounds(series: &Series) -> Markup {
    let warm_up = series.samples.iter().filter(|it| it.is_warm_up).count();
    let failed = series.samples.iter().filter(|it| it.has_failed()).count();
    html! {
        p.note {
            (series.rounds) " of " (series.runs_asked) " rounds in " (time(series.took_ns))
            ", in random order and then backwards (seed " (series.seed) "). "
            (warm_up) " runs before them only warmed up. " (failed) " runs failed; they are counted and in no figure."
            @if let Some(sentence) = cut_short(series) { " " (sentence) }
        }
    }
}
