//! What an instance costs in memory, as a bar of what it is made of.

use launch::Footprint;
use maud::{Markup, html};

use super::svg::{CHARACTER, LINE, WIDTH, drawing, px};
use crate::html::named;
use crate::units::{or_none, size};
use crate::{Comparison, Contender, FootprintReading};

const LEFT: f64 = 4.0;
const RIGHT: f64 = WIDTH - 4.0;
const BAR: f64 = 24.0;
const GAP: f64 = 8.0;
const TOP: f64 = LINE + 8.0;

/// Something that it is made of.
#[derive(Clone, Copy)]
struct Part {
    colour: &'static str,
    name: &'static str,
    /// How much there is of it; `None` where the kernel does not tell.
    bytes: fn(&Footprint) -> Option<u64>,
}

const PARTS: [Part; 5] = [
    Part {
        colour: "anon",
        name: "memory",
        bytes: |it| Some(it.anon_bytes),
    },
    Part {
        colour: "tables",
        name: "page tables",
        bytes: |it| it.page_tables_bytes,
    },
    Part {
        colour: "kvm-tables",
        name: "KVM's page tables",
        bytes: |it| it.kvm_page_tables_bytes,
    },
    Part {
        colour: "kernel",
        name: "kernel's own",
        bytes: |it| Some(kernels_rest_bytes(it)),
    },
    Part {
        colour: "file",
        name: "files, reclaimable",
        bytes: |it| Some(it.file_bytes),
    },
];

/// Without what is told apart of it.
fn kernels_rest_bytes(footprint: &Footprint) -> u64 {
    let parts = [footprint.page_tables_bytes, footprint.kvm_page_tables_bytes];
    let apart = parts.into_iter().flatten().sum();
    footprint.kernel_bytes.saturating_sub(apart)
}

/// Those that are told of one at least.
fn told<'a>(footprints: impl Iterator<Item = &'a Footprint> + Clone) -> Vec<Part> {
    let is_told = |part: &Part| footprints.clone().any(|it| (part.bytes)(it).is_some());
    PARTS.into_iter().filter(is_told).collect()
}

/// Of each that was there to be charged; `None` if none was.
pub(in crate::html) fn draw(id: &str, comparison: &Comparison) -> Option<Markup> {
    let reports = comparison.ways.as_ref().into_array();
    let rows: Vec<(Contender, &Footprint)> = reports
        .into_iter()
        .filter_map(|report| Some((report.way.into(), report.footprint.settled()?)))
        .collect();
    let parts = told(rows.iter().map(|(_, footprint)| *footprint));
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
            @for (index, Part { colour, name, .. }) in parts.iter().enumerate() {
                rect class=(colour) x=(px(key(&parts[..index]))) y="2" width="12" height="12" {}
                text.faint x=(px(key(&parts[..index]) + 17.0)) y="13" { (name) }
            }
            @for (row, (contender, footprint)) in rows.iter().enumerate() {
                @let top = TOP + row as f64 * (LINE + BAR + GAP) + LINE;
                text x=(px(LEFT)) y=(px(top - 6.0)) { (contender) ", " (size(total(footprint))) }
                @for (index, Part { colour, name, bytes }) in parts.iter().enumerate() {
                    @let before = sum(&parts[..index], footprint);
                    @let bytes = bytes(footprint).unwrap_or(0);
                    rect class=(colour) x=(px(LEFT + width(before))) y=(px(top)) width=(px(width(bytes))) height=(px(BAR)) {
                        title { (name) ", " (size(bytes)) }
                    }
                }
            }
        },
    ))
}

/// What each way is charged, and what its processes have by another count.
pub(in crate::html) fn table(comparison: &Comparison) -> Markup {
    let figure = |bytes: Option<u64>| or_none(bytes, size);
    let reports = comparison.ways.as_ref().into_array();
    let footprints = reports.into_iter().filter_map(|it| it.footprint.settled());
    let parts = told(footprints.clone());
    let are_tables_told = footprints.clone().any(|it| it.page_tables_bytes.is_some());
    let is_guest_told = reports
        .iter()
        .any(|it| it.footprint.guest_memory().is_some());
    html! {
        div.wide { table {
            thead { tr {
                th scope="col" { "way" }
                @for part in &parts { th.number scope="col" { (part.name) } }
                th.number scope="col" { "peak" }
                th.number scope="col" { "PSS" }
                @if is_guest_told {
                    th.number scope="col" { "guest: granted" }
                    th.number scope="col" { "guest: left" }
                }
            } }
            tbody { @for report in reports {
                @if let FootprintReading::Taken { footprint, pss_bytes, guest_memory, .. } = &report.footprint { tr {
                    th scope="row" { (named(report.way.into())) }
                    @let settled = report.footprint.settled();
                    @for part in &parts { td.number { (figure(settled.and_then(part.bytes))) } }
                    td.number { (size(footprint.peak_bytes)) }
                    td.number { (figure(*pss_bytes)) }
                    @if is_guest_told {
                        td.number { (figure(guest_memory.map(|it| it.granted_bytes))) }
                        td.number { (figure(guest_memory.map(|it| it.left_bytes))) }
                    }
                } }
            } }
        } }
        p.note {
            @if are_tables_told {
                "Page tables are the kernel's own, too, and told apart from the rest of it; KVM's are those of guest memory. "
            } @else {
                "Page tables are in the kernel's own memory: cgroups of version 1 tell nothing but its sum. "
            }
            "PSS checks that by another count: what the kernel says that the processes have in memory, shared pages by share, without the kernel's own."
            @if is_guest_told {
                " What a guest is granted and has left is by its own kernel: the host is charged for what it has touched, and sees nothing of what is free in it."
            }
        }
    }
}

/// Where what stands for a part is told, beside those before it.
fn key(before: &[Part]) -> f64 {
    let width = |part: &Part| 17.0 + part.name.len() as f64 * CHARACTER + 8.0;
    LEFT + before.iter().map(width).sum::<f64>()
}

fn total(footprint: &Footprint) -> u64 {
    sum(&PARTS, footprint)
}

fn sum(parts: &[Part], footprint: &Footprint) -> u64 {
    parts
        .iter()
        .filter_map(|part| (part.bytes)(footprint))
        .sum()
}
