//! What the workload reports of itself: in a sentence for each contender, then figure by figure.

use maud::{Markup, html};

use super::overview::words;
use super::{class, named};
use crate::FigureResult;
use crate::measurand::Measurand;
use crate::reported::Tally;
use crate::table::{CPU_MEANING, MEANING};
use crate::units::time;

pub(super) fn verdict(tally: &Tally) -> Markup {
    html! {
        li class=(class(tally.contender)) {
            strong { "reported figures: " (named(tally.contender)) " is " (tally) }
            p { "Each figure is below, with a verdict of its own." }
        }
    }
}

pub(super) fn table(figures: &[FigureResult]) -> Markup {
    let figure = |ns: Option<u64>| ns.map_or_else(|| "-".into(), time);
    let mut rows = figures.iter().flat_map(|it| &it.rows);
    let has_cpu = rows.any(|row| row.cpu_ns.is_some());
    html! {
        h4 { "What the workload reports" }
        p.note { (MEANING) @if has_cpu { (CPU_MEANING) } }
        div.wide { table {
            thead { tr {
                th scope="col" { "figure" }
                th scope="col" { "way" }
                th.number scope="col" { "runs" }
                th.number scope="col" { "p50" }
                th.number scope="col" { "p99" }
                @if has_cpu { th.number scope="col" { "CPU each" } }
                th scope="col" { "verdict" }
            } }
            tbody { @for result in figures { @for (index, row) in result.rows.iter().enumerate() { tr {
                @if index == 0 { th scope="rowgroup" rowspan=(result.rows.len()) { (result.figure) } }
                td { (named(row.of_runs.contender)) }
                td.number { (row.of_runs.runs()) }
                td.number { (figure(row.of_runs.summary.map(|it| it.p50))) }
                td.number { (figure(row.p99_ns)) }
                @if has_cpu { td.number { (figure(row.cpu_ns)) } }
                td { (row.of_runs.against.as_ref().map_or_else(String::new, |it| words(Measurand::Duration, it))) }
            } } } }
        } }
    }
}
