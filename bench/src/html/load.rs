//! Many instances at once, as figures and as charts.

use maud::{Markup, html};

use super::chart::{concurrency, density, elasticity};
use super::{id, legend, named};
use crate::load::{Concurrency, Density, Elasticity, Load};
use crate::table::load::{TOLD_AFTER, in_words, percent, why};
use crate::units::{or_none, signed_size, size, time};

/// Nothing if nothing of it was asked for.
pub(super) fn section(key: &str, load: &Load) -> Markup {
    if *load == Load::default() {
        return html! {};
    }
    html! {
        section aria-labelledby=(id(key, "load")) {
            h3.part id=(id(key, "load")) { "What instances cost" }
            @if let Some(density) = &load.density { (of_density(key, density)) }
            @if let Some(concurrency) = &load.concurrency { (of_concurrency(key, concurrency)) }
            @if let Some(elasticity) = &load.elasticity { (of_elasticity(key, elasticity)) }
        }
    }
}

fn of_density(key: &str, density: &Density) -> Markup {
    html! {
        ul {
            @for way in &density.ways {
                li {
                    (named(way.contender)) ": " (in_words(way, density.asked)) "."
                }
            }
        }
        @if let Some(svg) = density::draw(&id(key, "density"), density) {
            figure {
                h4 { "What one more costs in memory" }
                (legend(density.ways.iter().map(|it| it.contender)))
                (svg)
                figcaption {
                    "How much less memory the host has available while so many instances run, against none: the steeper a line, the more one more costs. Dashed is what their cgroups are charged. "
                    "Containers share the host's kernel and its cache; each VM has a kernel of its own, and of what it writes nothing is shared."
                }
            }
        }
        details {
            summary { "The steps as numbers" }
            div.wide { table {
                thead { tr {
                    th scope="col" { "way" }
                    th.number scope="col" { "instances" }
                    th.number scope="col" { "the host's memory" }
                    th.number scope="col" { "charged to them" }
                    th.number scope="col" { (density.metric) ", p50" }
                } }
                tbody { @for way in &density.ways { @for step in way.steps.iter().skip(1) { tr {
                    th scope="row" { (named(way.contender)) }
                    td.number { (step.instances) }
                    td.number { (signed_size(way.taken_bytes(step))) @if !step.is_settled { " or so" } }
                    td.number { (or_none(step.charged_bytes, size)) }
                    td.number { (or_none(step.launch_ns, |it| time(it.p50))) }
                } } } }
            } }
        }
    }
}

fn of_concurrency(key: &str, concurrency: &Concurrency) -> Markup {
    let figure = |ns: Option<u64>| or_none(ns, time);
    html! {
        h4 { (concurrency.asked) " launched at once" }
        div.wide { table {
            thead { tr {
                th scope="col" { "way" }
                th.number scope="col" { "there" }
                th.number scope="col" { "failed" }
                th.number scope="col" { (concurrency.metric) ", p50" }
                th.number scope="col" { "p90" }
                th.number scope="col" { "most" }
                th.number scope="col" { "all there after" }
            } }
            tbody { @for way in &concurrency.ways { tr {
                th scope="row" { (named(way.contender)) }
                td.number { (way.each_ns.len()) }
                td.number { (way.failures) }
                td.number { (figure(way.summary.map(|it| it.p50))) }
                td.number { (figure(way.summary.map(|it| it.p90))) }
                td.number { (figure(way.summary.map(|it| it.max))) }
                td.number { (figure(way.all_there_ns)) }
            } } }
        } }
        @for way in &concurrency.ways {
            @if let Some(why) = why(&way.ended) {
                p.note { (named(way.contender)) " was not there as a whole: " (why) "." }
            }
        }
        @if let Some(svg) = concurrency::draw(&id(key, "concurrency"), concurrency) {
            figure {
                (svg)
                figcaption {
                    "A dot for each of those that were launched at the same moment, by how long it took from its own launch, and a line where all were there, on a logarithmic axis: "
                    "the wider the dots lie apart, the longer the last ones waited for a processor."
                }
            }
        }
    }
}

fn of_elasticity(key: &str, elasticity: &Elasticity) -> Markup {
    html! {
        h4 { "Memory that the command has freed" }
        div.wide { table {
            thead { tr {
                th scope="col" { "way" }
                th.number scope="col" { "taken" }
                @for seconds in TOLD_AFTER { th.number scope="col" { "back after " (seconds) " s" } }
            } }
            tbody { @for way in &elasticity.ways { tr {
                th scope="row" { (named(way.contender)) }
                td.number { (or_none(way.taken_bytes(), size)) }
                @for seconds in TOLD_AFTER { td.number { (percent(way.returned_percent(seconds))) } }
            } } }
        } }
        @for way in &elasticity.ways {
            @if let Some(why) = why(&way.ended) {
                p.note { (named(way.contender)) " was not followed to the end: " (why) "." }
            }
        }
        @if let Some(svg) = elasticity::draw(&id(key, "elasticity"), elasticity) {
            figure {
                (legend(elasticity.ways.iter().map(|it| it.contender)))
                (svg)
                figcaption {
                    "What the host is charged for the instance from the moment when its command has freed its memory, the most before as a dot: "
                    "a container frees it at the host's kernel, at once; a VM's guest kernel keeps what is free until it reports it to the host."
                }
            }
        }
    }
}
