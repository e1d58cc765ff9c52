//! Where the time of a run went, as a bar of its spans.

use launch::Span;
use maud::{Markup, html};

use super::scale::Scale;
use super::svg::{CHARACTER, LINE, WIDTH, axis, drawing, px};
use crate::Contender;
use crate::html::steps::meaning;
use crate::html::{class, named};
use crate::units::{NONE, time};

const LEFT: f64 = 4.0;
const RIGHT: f64 = WIDTH - 24.0;
const BAR: f64 = 30.0;
const GAP: f64 = 8.0;
/// The narrowest bar, of what is too short for the scale.
const LEAST: f64 = 1.5;
/// What is narrower has no line around it, which would be all of it.
const THIN: f64 = 3.0;

/// All from the same zero.
pub(in crate::html) fn on_one_scale(id: &str, all: &[(Contender, &[Span])]) -> Markup {
    let longest = all.iter().map(|(_, spans)| total(spans)).max().unwrap_or(0);
    let scale = Scale::linear(longest, LEFT, RIGHT);
    let bottom = bottom(all.len());
    drawing(
        id,
        bottom + 28.0,
        "Timelines on one scale",
        &description(all),
        html! {
            (axis(&scale, 0.0, bottom))
            @for (row, (contender, spans)) in all.iter().enumerate() {
                (bar(*contender, spans, row, &scale))
            }
        },
    )
}

/// Each as wide as the page.
pub(in crate::html) fn each_on_its_own(id: &str, all: &[(Contender, &[Span])]) -> Markup {
    drawing(
        id,
        bottom(all.len()),
        "Timelines, each on its own scale",
        &description(all),
        html! {
            @for (row, (contender, spans)) in all.iter().enumerate() {
                (bar(*contender, spans, row, &Scale::linear(total(spans), LEFT, RIGHT)))
            }
        },
    )
}

/// The same as numbers.
pub(in crate::html) fn table(all: &[(Contender, &[Span])]) -> Markup {
    html! {
        @for (contender, spans) in all {
            div.wide { table {
                thead { tr {
                    th scope="col" { (named(*contender)) }
                    th.number scope="col" { "time" }
                    th.number scope="col" { "share" }
                    th scope="col" { "what is done" }
                } }
                tbody { @for span in *spans { tr {
                    th scope="row" { (span.name) }
                    td.number { (time(span.duration_ns)) }
                    td.number { (share(span, spans)) }
                    td { (meaning(&span.name).unwrap_or_default()) }
                } } }
            } }
        }
    }
}

fn share(span: &Span, of: &[Span]) -> String {
    match total(of) {
        0 => NONE.into(),
        total => format!("{:.0} %", span.duration_ns as f64 / total as f64 * 100.0),
    }
}

fn bar(contender: Contender, spans: &[Span], row: usize, scale: &Scale) -> Markup {
    let top = row as f64 * (LINE + BAR + GAP) + LINE;
    let mut end_ns = 0;
    let parts = spans.iter().enumerate().map(|(index, span)| {
        let from = scale.at(end_ns);
        end_ns += span.duration_ns;
        part(span, index, (from, scale.at(end_ns)), top)
    });
    let parts: Vec<_> = parts.collect();
    let start = scale.at(0);
    let width = scale.at(end_ns) - start;
    html! {
        text x=(px(LEFT)) y=(px(top - 6.0)) { (contender) ", " (time(end_ns)) }
        g class=(class(contender)) {
            @if width < THIN {
                rect.whole x=(px(start)) y=(px(top)) width=(px(width.max(LEAST))) height=(px(BAR)) {}
            } @else {
                @for part in &parts { (part) }
            }
        }
    }
}

fn part(span: &Span, index: usize, (from, to): (f64, f64), top: f64) -> Markup {
    let is_pale = !index.is_multiple_of(2);
    let is_thin = to - from < THIN;
    let has_room = to - from > span.name.len() as f64 * CHARACTER + 8.0;
    html! {
        rect.part.even[is_pale].thin[is_thin] x=(px(from)) y=(px(top)) width=(px(to - from)) height=(px(BAR)) {
            title { (span.name) ", " (time(span.duration_ns)) }
        }
        @if has_room {
            text.label-in.even[is_pale] x=(px((from + to) / 2.0)) y=(px(top + BAR / 2.0 + 5.0)) text-anchor="middle" { (span.name) }
        }
    }
}

fn bottom(rows: usize) -> f64 {
    rows as f64 * (LINE + BAR + GAP) - GAP / 2.0
}

fn total(spans: &[Span]) -> u64 {
    spans.iter().map(|span| span.duration_ns).sum()
}

fn description(all: &[(Contender, &[Span])]) -> String {
    let one = |(contender, spans): &(Contender, &[Span])| {
        let most = spans.iter().max_by_key(|span| span.duration_ns);
        let most = most.map_or_else(String::new, |span| format!(", most of it in {}", span.name));
        format!("{contender}: {}{most}", time(total(spans)))
    };
    let ways: Vec<_> = all.iter().map(one).collect();
    format!("{}.", ways.join("; "))
}
