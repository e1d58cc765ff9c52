//! What the workload reports of itself: in a sentence for each contender, then figure by figure.

use maud::{Markup, html};

use super::overview::words;
use super::{class, named};
use crate::measurand::Measurand;
use crate::reported::Tally;
use crate::table::{CPU_MEANING, MEANING, has_cpu};
use crate::units::{three_digits, time};
use crate::{FigureResult, FigureRow};

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
    html! {
        h4 { "What the workload reports" }
        p.note { (MEANING) }
        div.wide { table {
            thead { tr {
                th scope="col" { "figure" }
                th scope="col" { "way" }
                th.number scope="col" { "runs" }
                th.number scope="col" { "p50" }
                th.number scope="col" { "p99" }
                th scope="col" { "verdict" }
            } }
            tbody { @for result in figures { @for (index, row) in result.rows.iter().enumerate() { tr {
                @if index == 0 { th scope="rowgroup" rowspan=(result.rows.len()) { (result.figure) } }
                td { (named(row.of_runs.contender)) }
                td.number { (row.of_runs.runs()) }
                td.number {
                    (figure(row.of_runs.summary.map(|it| it.p50)))
                    @if let Some(rate) = rate(result, row) { br; small { (rate) } }
                }
                td.number { (figure(row.p99_ns)) }
                td { (row.of_runs.against.as_ref().map_or_else(String::new, |it| words(Measurand::Duration, it))) }
            } } } }
        } }
        @if has_cpu(figures) { (cpu_table(figures)) }
    }
}

/// What the median makes of a second, where an operation moves bytes.
fn rate(result: &FigureResult, row: &FigureRow) -> Option<String> {
    let p50_ns = row.of_runs.summary?.p50;
    let bytes_a_second = result.bytes()? as f64 / (p50_ns.max(1) as f64 / 1e9);
    Some(format!("{} MB/s", three_digits(bytes_a_second / 1e6)))
}

fn cpu_table(figures: &[FigureResult]) -> Markup {
    let figure = |ns: Option<u64>| ns.map_or_else(|| "-".into(), time);
    html! {
        h4 { "Processor time of each operation" }
        p.note { (CPU_MEANING) }
        div.wide { table {
            thead { tr {
                th scope="col" { "figure" }
                th scope="col" { "way" }
                th.number scope="col" { "runs" }
                th.number scope="col" { "p50" }
                th.number scope="col" { "p90" }
                th.number scope="col" { "max" }
                th scope="col" { "verdict" }
            } }
            tbody { @for result in figures {
                @let rows: Vec<_> = result.rows.iter().filter_map(|row| row.cpu.as_ref()).collect();
                @for (index, row) in rows.iter().enumerate() { tr {
                    @if index == 0 { th scope="rowgroup" rowspan=(rows.len()) { (result.figure) } }
                    td { (named(row.contender)) }
                    td.number { (row.runs()) }
                    td.number { (figure(row.summary.map(|it| it.p50))) }
                    td.number { (figure(row.summary.map(|it| it.p90))) }
                    td.number { (figure(row.summary.map(|it| it.max))) }
                    td { (row.against.as_ref().map_or_else(String::new, |it| words(Measurand::ProcessorTime, it))) }
                } }
            } }
        } }
    }
}
