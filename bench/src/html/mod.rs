//! A [`Comparison`] as one HTML file: no script, nothing that is fetched, readable on a phone, on
//! paper, in light and in dark.
//!
//! [`render`] is the way in and reads like the page. A chart is a file in `chart/`: it draws, in
//! SVG, and has one sentence that says what it shows and why.

mod chart;
mod charts;
mod environment;
mod figures;
mod method;
mod outputs;
mod series;
mod warnings;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::table::command_line;
use crate::{Comparison, Contender};

const STYLE: &str = include_str!("style.css");

/// The whole page.
pub fn render(comparison: &Comparison) -> String {
    let command = command_line(&comparison.workload.argv);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Nothing can be fetched and nothing run, whatever a workload printed.
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { "jaula: " (command) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    p.kicker { "jaula compare" }
                    h1 { code { (command) } }
                    p { (comparison.environment) }
                }
                main {
                    (figures::section(comparison))
                    (warnings::section(comparison))
                    (charts::section(comparison))
                    (outputs::section(comparison))
                    (environment::section(comparison))
                    (method::section(comparison))
                }
                footer {
                    "Made by jaula " (env!("CARGO_PKG_VERSION")) " at "
                    (comparison.environment.taken_at) "."
                }
            }
        }
    }
    .into_string()
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

#[cfg(test)]
mod tests;
