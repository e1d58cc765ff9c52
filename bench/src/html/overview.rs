//! A suite in one table: what each workload costs as a VM in place of a container.

use maud::{Markup, html};

use super::named;
use crate::export::Measured;
use crate::measurand::Measurand;
use crate::reported::tallies;
use crate::statistics::Verdict;
use crate::units::three_digits;
use crate::{Against, MetricResult, ResultRow};

pub(super) fn section(all: &[Measured]) -> Markup {
    html! {
        section aria-labelledby="overview" {
            h2 #overview { "The answer in one table" }
            p {
                "How long each workload took in the middle of its runs, and what the statistics say about it "
                "against the container's. Below, each workload has its own part, with how it came about."
            }
            div.wide { table {
                thead { tr {
                    th scope="col" { "workload" } th scope="col" { "metric" } th scope="col" { "way" }
                    th.number scope="col" { "runs" } th.number scope="col" { "p50" } th scope="col" { "verdict" }
                } }
                tbody {
                    @for measured in all {
                        @for result in &measured.comparison.results {
                            @for row in &result.rows { (line(measured, result, row)) }
                        }
                        @for tally in tallies(&measured.comparison.figures) { tr {
                            th scope="row" { (measured.name) }
                            td { "reported figures" }
                            td { (named(tally.contender)) }
                            td.number { (tally.runs) }
                            td.number { "-" }
                            td { (tally) }
                        } }
                    }
                }
            } }
        }
    }
}

fn line(measured: &Measured, result: &MetricResult, row: &ResultRow) -> Markup {
    let measurand = result.metric.measurand();
    html! {
        tr {
            th scope="row" { (measured.name) }
            td { (result.metric) }
            td { (named(row.contender)) }
            td.number { (row.summary.map_or(0, |it| it.count)) }
            td.number { (row.summary.map_or_else(|| "-".into(), |it| measurand.amount(it.p50))) }
            td { (row.against.as_ref().map_or_else(String::new, |it| words(measurand, it))) }
        }
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
