//! The charts, each with what it says.

use maud::{Markup, html};

use super::chart::{cdf, distribution, footprint, operations, order, timeline};
use super::series::{drawn, spans};
use super::{id, legend};
use crate::{Comparison, Contender, FigureResult, FigureRow, Metric, Series};

pub(super) fn section(key: &str, comparison: &Comparison) -> Markup {
    html! {
        section aria-labelledby=(id(key, "charts")) {
            h3.part id=(id(key, "charts")) { "Where it goes" }
            @if let Some(series) = &comparison.series { (startup(key, comparison, series)) }
            (reported(key, comparison))
            (timelines(key, comparison))
            (footprints(key, comparison))
            @if let Some(series) = &comparison.series { (run_order(key, comparison, series)) }
        }
    }
}

fn figure(title: &str, svg: Markup, sentence: Markup) -> Markup {
    html! { figure { h4 { (title) } (svg) figcaption { (sentence) } } }
}

fn startup(key: &str, comparison: &Comparison, series: &Series) -> Markup {
    let drawn = drawn(comparison, series);
    figure(
        "How often a start is how quick",
        html! {
            (legend(drawn.iter().map(|it| it.contender)))
            (cdf::draw(&id(key, "cdf"), &drawn, Metric::Main))
        },
        html! {
            "Share of the runs that were at main after this time, on a logarithmic axis: the steeper a line, the more a start can be relied on; "
            "where two lines do not overlap, every start of one was quicker than every start of the other."
        },
    )
}

fn reported(key: &str, comparison: &Comparison) -> Markup {
    let figures = &comparison.figures;
    html! {
        @if let Some(svg) = operations::ratios(&id(key, "ratios"), figures) {
            (figure(
                "What each operation costs, as a ratio",
                html! {
                    (legend(telling(figures, |row| row.of_runs.against.is_some())))
                    (svg)
                },
                html! {
                    "How many times as long each operation takes as for what it is held against (a VM against the container, that against a process of the host), on a logarithmic axis: "
                    "what the processor does by itself is near 1, and what a guest's kernel must ask its host for is far to the right."
                },
            ))
        }
        @if let Some(svg) = operations::latencies(&id(key, "latencies"), figures) {
            (figure(
                "How long each operation takes",
                html! {
                    (legend(telling(figures, |row| row.of_runs.summary.is_some())))
                    (svg)
                },
                html! {
                    "From the median, the dot, to the 99th percentile, the stroke, on a logarithmic axis: a long line is an operation that is mostly quick and sometimes waits. "
                    "A dot alone had too few values for a percentile."
                },
            ))
        }
        (distributions(key, figures))
    }
}

/// One for each operation.
fn distributions(key: &str, figures: &[FigureResult]) -> Markup {
    let draw = |result: &FigureResult| {
        distribution::draw(&id(key, &format!("spread-{}", result.figure)), result)
    };
    let drawn = figures
        .iter()
        .filter_map(|result| Some((&result.figure, draw(result)?)));
    let drawn: Vec<_> = drawn.collect();
    if drawn.is_empty() {
        return html! {};
    }
    figure(
        "How often an operation is how quick",
        html! {
            (legend(telling(figures, |row| row.quantiles_ns.len() > 1)))
            div.multiples {
                @for (name, svg) in drawn { div { h5 { (name) } (svg) } }
            }
        },
        html! {
            "Share of the operations of all runs that took at most so long, each chart on a logarithmic axis of its own: "
            "a steep line is an operation that always takes the same, a foot or a shoulder one that sometimes waits for something else."
        },
    )
}

/// Those with such a row, in the order in which they are shown.
fn telling(figures: &[FigureResult], has: impl Fn(&FigureRow) -> bool) -> Vec<Contender> {
    let mut contenders = Vec::new();
    for row in figures.iter().flat_map(|result| &result.rows) {
        if has(row) && !contenders.contains(&row.of_runs.contender) {
            contenders.push(row.of_runs.contender);
        }
    }
    contenders
}

fn timelines(key: &str, comparison: &Comparison) -> Markup {
    let spans = spans(comparison);
    html! {
        (figure(
            "Where the time goes, on one scale",
            timeline::on_one_scale(&id(key, "timeline-shared"), &spans),
            html! {
                "From launch() to main in the median run of each way, all from the same zero: what a VM adds is what reaches further to the right. "
                "What the command takes itself comes after main, and is in launch to exit."
            },
        ))
        (figure(
            "Where the time goes, each on its own scale",
            timeline::each_on_its_own(&id(key, "timeline-own"), &spans),
            html! {
                "The same runs, each stretched to the full width: which step takes most of a start, however short that is. "
                "On a container's side it is the kernel that makes namespaces and mounts, on a VM's the guest kernel and what its memory has to hold."
            },
        ))
        details {
            summary { "The spans as numbers" }
            (timeline::table(&spans))
        }
    }
}

fn footprints(key: &str, comparison: &Comparison) -> Markup {
    let reports = comparison.ways.as_ref().into_array();
    let is_known = reports.iter().any(|it| it.footprint.footprint().is_some());
    html! {
        @if let Some(svg) = footprint::draw(&id(key, "footprint"), comparison) { (figure(
            "What it costs in memory",
            svg,
            html! {
                "What the host is charged for one instance two seconds after main, or when it is ready. Of one that had ended before, only the peak is known, which is among the numbers. "
                "Memory and the kernel's own can't be taken back; files are cache, which the host may drop. "
                "A VM's guest kernel and its caches are memory to the host, which can't see what of it is free."
            },
        )) }
        @if is_known { details {
            summary { "Memory as numbers" }
            (footprint::table(comparison))
        } }
    }
}

fn run_order(key: &str, comparison: &Comparison, series: &Series) -> Markup {
    figure(
        "In which order they ran",
        html! {
            (legend(drawn(comparison, series).iter().map(|it| it.contender)))
            (order::draw(&id(key, "order"), &drawn(comparison, series), series.samples.len()))
        },
        html! {
            "Every run in the order in which it was made, by its time to main: dots that climb or fall from left to right "
            "would mean that the host changed meanwhile, and hollow ones failed."
        },
    )
}
