//! A suite in one table: what each workload costs as a VM in place of a container.

mod beside_times;

use maud::{Markup, html};

use beside_times::Row;

use super::named;
use crate::export::{Measured, Unmeasured};
use crate::measurand::Measurand;
use crate::reported::{Tally, tallies};
use crate::statistics::Verdict;
use crate::units::{NONE, three_digits};
use crate::{Against, Contender, MetricResult, ResultRow};

pub(super) fn section(all: &[Measured], unmeasured: &[Unmeasured]) -> Markup {
    let contenders = contenders(all);
    html! {
        section aria-labelledby="overview" {
            h2 #overview { "The answer in one table" }
            p {
                "What each workload took in the middle of its runs, each way in a column, and how many times that is of what it is held against: "
                "a VM of the container, that of a process of the host, in the rounds in which both ran. "
                "“≈” stands for no difference of 5 % or more, “?” for one that the runs do not show, and a number in brackets has too few runs for a verdict. "
                "Below, each workload has its own part, with how it came about, and with jaula run as a VM where that was timed."
            }
            div.wide { table.matrix {
                thead { tr {
                    th scope="col" { "workload" }
                    @for contender in &contenders { th.number scope="col" { (named(*contender)) } }
                } }
                tbody {
                    @for measured in all {
                        @for result in &measured.comparison.results { (line(measured, result, &contenders)) }
                        (reported(measured, &contenders))
                        @for row in beside_times::rows(&measured.comparison) { (plain_line(measured, &row, &contenders)) }
                    }
                }
            } }
            @for Unmeasured { name, reason } in unmeasured {
                p.note { strong { (name) } " was not measured: " (reason) "." }
            }
        }
    }
}

/// Those with a column: of whom something is told, in the order in which they are shown.
fn contenders(all: &[Measured]) -> Vec<Contender> {
    let is_told_of = |contender: &Contender| {
        all.iter().any(|measured| {
            let results = measured.comparison.results.iter();
            let mut rows = results.flat_map(|it| &it.rows).map(|it| it.contender);
            let figures = measured.comparison.figures.iter();
            let mut reporting = figures
                .flat_map(|it| &it.rows)
                .map(|it| it.of_runs.contender);
            let beside = beside_times::rows(&measured.comparison);
            let mut beside = beside.iter().flat_map(Row::contenders);
            rows.any(|it| it == *contender)
                || reporting.any(|it| it == *contender)
                || beside.any(|it| it == *contender)
        })
    };
    // In a column each they would not fit a page; their workload's part has them.
    let has_column = |it: &Contender| {
        !matches!(it, Contender::JaulaRunVmCold | Contender::JaulaRunVmWarm) && is_told_of(it)
    };
    Contender::all().filter(has_column).collect()
}

fn head(measured: &Measured, what: impl maud::Render) -> Markup {
    html! { th scope="row" { (measured.name) " " small { (what) } } }
}

fn line(measured: &Measured, result: &MetricResult, contenders: &[Contender]) -> Markup {
    let measurand = result.metric.measurand();
    html! {
        tr {
            (head(measured, result.metric.to_string()))
            @for contender in contenders {
                td.number {
                    @match result.rows.iter().find(|row| row.contender == *contender) {
                        None => (NONE),
                        Some(row) => (cell(measurand, row)),
                    }
                }
            }
        }
    }
}

fn plain_line(measured: &Measured, row: &Row, contenders: &[Contender]) -> Markup {
    html! {
        tr {
            (head(measured, &row.what))
            @for contender in contenders {
                td.number { (row.cell(*contender).unwrap_or(NONE)) }
            }
        }
    }
}

fn cell(measurand: Measurand, row: &ResultRow) -> Markup {
    html! {
        (row.summary.map_or_else(|| "failed".into(), |it| measurand.amount(it.p50)))
        @if let Some(against) = &row.against { br; small { (times(measurand, against)) } }
    }
}

/// Of the other's, with a mark where nothing was shown; in a word if the other's is nothing.
fn times(measurand: Measurand, against: &Against) -> String {
    let verdict = against.comparison.verdict;
    let Some(ratio) = against.comparison.ratio else {
        return measurand.word(verdict).to_owned();
    };
    let times = format!("{}\u{a0}×", three_digits(ratio));
    match verdict {
        Verdict::Faster | Verdict::Slower => times,
        Verdict::Equivalent => format!("≈ {times}"),
        Verdict::Inconclusive => format!("? {times}"),
        Verdict::TooFewPairs => format!("({times})"),
    }
}

fn reported(measured: &Measured, contenders: &[Contender]) -> Markup {
    let tallies = tallies(&measured.comparison.figures);
    let of = |contender: &Contender| tallies.iter().find(|it| it.contender == *contender);
    html! {
        @if !tallies.is_empty() {
            tr {
                (head(measured, "reported figures"))
                @for contender in contenders {
                    td.number { @match of(contender) { None => (NONE), Some(tally) => small { (span(tally)) } } }
                }
            }
        }
    }
}

fn span(tally: &Tally) -> String {
    let (least, most) = tally.ratios;
    match tally.figures {
        0 => "(too few runs)".into(),
        _ => format!("{} to {}\u{a0}×", three_digits(least), three_digits(most)),
    }
}

pub(super) fn words(measurand: Measurand, against: &Against) -> String {
    let comparison = &against.comparison;
    match (comparison.verdict, comparison.ratio) {
        (Verdict::Faster | Verdict::Slower, Some(ratio)) => {
            format!(
                "{}, {} times the {}",
                measurand.word(comparison.verdict),
                three_digits(ratio),
                against.reference
            )
        }
        (verdict, _) => measurand.word(verdict).to_owned(),
    }
}
