//! What stands between a command and the host.

use launch::Side;
use maud::{Markup, html};

use super::id;
use crate::{Comparison, Isolation};

pub(super) fn section(key: &str, comparison: &Comparison) -> Markup {
    let columns = isolations(comparison);
    html! {
        @if !columns.is_empty() {
            section aria-labelledby=(id(key, "isolation")) {
                h3.part id=(id(key, "isolation")) { "What stands between the command and the host" }
                div.wide { table.counts {
                    thead {
                        tr {
                            th scope="col" { "" }
                            @for (side, _) in &columns { th.number scope="col" { (side) } }
                        }
                    }
                    tbody {
                        @for (index, row) in Isolation::ROWS.into_iter().enumerate() {
                            tr {
                                th scope="row" { (row) }
                                @for (_, isolation) in &columns { td.number { (isolation.column()[index]) } }
                            }
                        }
                    }
                } }
                p.note { (Isolation::SENTENCE) }
                @for (side, isolation) in &columns {
                    @if let Some(note) = isolation.note() { p.note { (side) ": " (note) } }
                }
            }
        }
    }
}

/// Of each side: how a VM starts makes no difference to it.
fn isolations(comparison: &Comparison) -> Vec<(Side, &Isolation)> {
    let ways = comparison.ways.as_ref();
    [ways.container, ways.vm_cold]
        .into_iter()
        .filter_map(|report| Some((report.way.side(), report.isolation.as_ref()?)))
        .collect()
}
