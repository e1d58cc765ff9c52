//! What the workload reports of itself: in a sentence for each contender, then figure by figure.

use maud::{Markup, html};

use super::overview::words;
use super::{class, named};
use crate::measurand::Measurand;
use crate::reported::{Table, Tally, tables};
use crate::units::three_digits;
use crate::{FigureResult, ResultRow};

pub(super) fn verdict(tally: &Tally) -> Markup {
    html! {
        li class=(class(tally.contender)) {
            strong { "reported figures: " (named(tally.contender)) " is " (tally) }
            p { "Each figure is below, with a verdict of its own." }
        }
    }
}

pub(super) fn table(figures: &[FigureResult]) -> Markup {
    html! { @for of in tables(figures) {
        h4 { (of.title) }
        p.note { (of.meaning) }
        div.wide { table {
            thead { tr {
                th scope="col" { "figure" }
                th scope="col" { "way" }
                th.number scope="col" { "runs" }
                @for head in of.heads() { th.number scope="col" { (head) } }
                th scope="col" { "verdict" }
            } }
            tbody { @for result in figures { (rows(&of, result)) } }
        } }
    } }
}

fn rows(of: &Table, result: &FigureResult) -> Markup {
    let rows: Vec<_> = of.rows(result).collect();
    html! { @for (index, (row, values)) in rows.iter().enumerate() { tr {
        @if index == 0 { th scope="rowgroup" rowspan=(rows.len()) { (result.figure) } }
        td { (named(row.contender)) }
        td.number { (row.runs()) }
        @for (index, value) in values.iter().enumerate() { td.number {
            (value)
            @if index == 0 && let Some(rate) = rate(of, result, row) { br; small { (rate) } }
        } }
        td { (row.against.as_ref().map_or_else(String::new, |it| words(of.measurand, it))) }
    } } }
}

/// What the median makes of a second, where an operation moves bytes.
fn rate(of: &Table, result: &FigureResult, row: &ResultRow) -> Option<String> {
    if of.measurand != Measurand::Duration {
        return None;
    }
    let p50_ns = row.summary?.p50;
    let bytes_a_second = result.bytes()? as f64 / (p50_ns.max(1) as f64 / 1e9);
    Some(format!("{} MB/s", three_digits(bytes_a_second / 1e6)))
}
