//! A [`Comparison`] as one HTML file: no script, nothing that is fetched, readable on a phone, on
//! paper, in light and in dark.
//!
//! [`render`] and [`render_suite`] are the ways in and read like the page. A chart is a file in `chart/`: it draws, in
//! SVG, and has one sentence that says what it shows and why.

mod chart;
mod charts;
mod environment;
mod figures;
mod floors;
mod isolation;
mod load;
mod method;
mod outputs;
mod overview;
mod reported;
mod series;
mod warnings;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::export::Measured;
use crate::table::command_line;
use crate::{Comparison, Contender};

const STYLE: &str = include_str!("style.css");

/// The page of one comparison.
pub fn render(comparison: &Comparison) -> String {
    let command = command_line(&comparison.workload.argv);
    page(
        "jaula compare",
        html! { code { (command) } },
        comparison,
        html! { (answer("", comparison)) },
    )
}

/// The page of a suite; `None` if nothing was measured.
pub fn render_suite(all: &[Measured]) -> Option<String> {
    let first = all.first()?;
    let content = html! {
        (overview::section(all))
        @for measured in all {
            article aria-labelledby=(format!("{}-name", measured.name)) {
                h2.workload id=(format!("{}-name", measured.name)) { (measured.name) }
                p { (measured.about) " " code { (command_line(&measured.comparison.workload.argv)) } }
                (answer(&measured.name, &measured.comparison))
            }
        }
    };
    let title = html! { "What does a VM cost in place of a container?" };
    Some(page("jaula bench", title, &first.comparison, content))
}

/// What is said of one comparison; `key` tells its parts from those of others.
fn answer(key: &str, comparison: &Comparison) -> Markup {
    html! {
        (figures::section(key, comparison))
        (warnings::section(key, comparison))
        (charts::section(key, comparison))
        (load::section(key, &comparison.load))
        (isolation::section(key, comparison))
        (outputs::section(key, comparison))
    }
}

fn page(kicker: &str, title: Markup, any: &Comparison, content: Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Nothing can be fetched and nothing run, whatever a workload printed.
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { (kicker) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    p.kicker { (kicker) }
                    h1 { (title) }
                    p { (any.environment) }
                }
                main {
                    (content)
                    (floors::section(&any.environment.floors))
                    (environment::section(any))
                    (method::section(any))
                }
                footer {
                    "Made by jaula " (env!("CARGO_PKG_VERSION")) " at "
                    (any.environment.taken_at) "."
                }
            }
        }
    }
    .into_string()
}

/// What tells a part of a comparison from that of another, and from other parts.
fn id(key: &str, part: &str) -> String {
    match key {
        "" => part.to_owned(),
        key => format!("{key}-{part}"),
    }
}

/// The name of its colour in the style sheet.
fn class(contender: Contender) -> &'static str {
    match contender {
        Contender::Container => "container",
        Contender::VmWarm => "vm-warm",
        Contender::VmCold => "vm-cold",
        Contender::HostProcess => "host-process",
        Contender::JaulaRun => "jaula-run",
        Contender::Peer(_) => "peer",
    }
}

/// A name with its colour beside it.
fn named(contender: Contender) -> Markup {
    html! { span class=(format!("name {}", class(contender))) { (contender) } }
}

/// Whose each colour of a chart is.
fn legend(contenders: impl IntoIterator<Item = Contender>) -> Markup {
    html! { p.legend { @for contender in contenders { (named(contender)) " " } } }
}

#[cfg(test)]
pub(crate) mod tests;
