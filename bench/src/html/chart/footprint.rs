//! What an instance costs in memory, as a bar of what it is made of.

use launch::Footprint;
use maud::{Markup, html};

use super::svg::{CHARACTER, LINE, WIDTH, drawing, px};
use crate::html::named;
use crate::units::size;
use crate::{Comparison, Contender, FootprintReading};

const LEFT: f64 = 4.0;
const RIGHT: f64 = WIDTH - 4.0;
const BAR: f64 = 24.0;
const GAP: f64 = 8.0;
const TOP: f64 = LINE + 8.0;

/// What it is made of: the names of colours, and of what they stand for.
const PARTS: [(&str, &str); 3] = [
    ("anon", "memory"),
    ("kernel", "kernel's own"),
    ("file", "files, reclaimable"),
];

/// How much there is of each.
fn parts(footprint: &Footprint) -> [u64; 3] {
    [
        footprint.anon_bytes,
        footprint.kernel_bytes,
        footprint.file_bytes,
    ]
}

/// `None` if none was read.
pub(in crate::html) fn draw(id: &str, comparison: &Comparison) -> Option<Markup> {
    let reports = comparison.ways.as_ref().into_array();
    let rows: Vec<(Contender, Footprint)> = reports
        .into_iter()
        .filter_map(|report| match &report.footprint {
            FootprintReading::Taken { footprint, .. } => Some((report.way.into(), *footprint)),
            FootprintReading::Unavailable { .. } => None,
        })
        .collect();
    let most = rows
        .iter()
        .map(|(_, footprint)| total(footprint))
        .max()?
        .max(1);
    let width = |bytes: u64| bytes as f64 / most as f64 * (RIGHT - LEFT);
    let description: Vec<_> = rows
        .iter()
        .map(|(contender, footprint)| {
            let unreclaimable = size(footprint.unreclaimable_bytes());
            format!("{contender}: {unreclaimable} that can't be reclaimed")
        })
        .collect();
    Some(drawing(
        id,
        TOP + rows.len() as f64 * (LINE + BAR + GAP),
        "Memory charged for one instance",
        &format!("{}.", description.join("; ")),
        html! {
            @for (index, (colour, name)) in PARTS.iter().enumerate() {
                rect class=(colour) x=(px(key(index))) y="2" width="12" height="12" {}
                text.faint x=(px(key(index) + 17.0)) y="13" { (name) }
            }
            @for (row, (contender, footprint)) in rows.iter().enumerate() {
                @let top = TOP + row as f64 * (LINE + BAR + GAP) + LINE;
                text x=(px(LEFT)) y=(px(top - 6.0)) { (contender) ", " (size(total(footprint))) }
                @for (index, (colour, name)) in PARTS.iter().enumerate() {
                    @let parts = parts(footprint);
                    @let before: u64 = parts[..index].iter().sum();
                    rect class=(colour) x=(px(LEFT + width(before))) y=(px(top)) width=(px(width(parts[index]))) height=(px(BAR)) {
                        title { (name) ", " (size(parts[index])) }
                    }
                }
            }
        },
    ))
}

/// What each way is charged, and what its processes have by another count.
pub(in crate::html) fn table(comparison: &Comparison) -> Markup {
    let or_none = |bytes: Option<u64>| bytes.map_or_else(|| "-".into(), size);
    html! {
        div.wide { table {
            thead { tr {
                th scope="col" { "way" }
                @for (_, name) in PARTS { th.number scope="col" { (name) } }
                th.number scope="col" { "peak" }
                th.number scope="col" { "PSS" }
            } }
            tbody { @for report in comparison.ways.as_ref().into_array() {
                @if let FootprintReading::Taken { footprint, pss_bytes, .. } = &report.footprint { tr {
                    th scope="row" { (named(report.way.into())) }
                    @for bytes in parts(footprint) { td.number { (size(bytes)) } }
                    td.number { (size(footprint.peak_bytes)) }
                    td.number { (or_none(*pss_bytes)) }
                } }
            } }
        } }
        p.note {
            "PSS checks that by another count: what the kernel says that the processes have in memory, shared pages by share, without the kernel's own."
        }
    }
}

/// Where what stands for a part is told, beside those before it.
fn key(index: usize) -> f64 {
    let width = |(_, name): &(&str, &str)| 17.0 + name.len() as f64 * CHARACTER + 8.0;
    LEFT + PARTS[..index].iter().map(width).sum::<f64>()
}

fn total(footprint: &Footprint) -> u64 {
    parts(footprint).iter().sum()
}
