//! A [`Comparison`] as one HTML file: no script, nothing that is fetched, readable on a phone, on
//! paper, in light and in dark.
//!
//! [`render`] and [`render_suite`] are the ways in and read like the page. A chart is a file in `chart/`: it draws, in
//! SVG, and has one sentence that says what it shows and why.

mod changes;
mod chart;
mod charts;
mod costs;
mod disk;
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
mod short;
mod steps;
mod warnings;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::budget::Judgement;
use crate::changes::Changes;
use crate::export::{Measured, Unmeasured};
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
        html! { (short::section(&[("", comparison)])) (answer("", comparison)) },
    )
}

/// What the page of a suite shows.
#[derive(Clone, Copy, Debug)]
pub struct SuitePage<'a> {
    /// What was measured.
    pub all: &'a [Measured],
    /// What could not be.
    pub unmeasured: &'a [Unmeasured],
    /// What changed since a baseline, if there is one.
    pub changes: Option<&'a Changes>,
    /// What a budget says, if there is one.
    pub judgements: Option<&'a [Judgement<'a>]>,
}

/// The page of a suite; `None` if nothing was measured.
pub fn render_suite(suite: SuitePage<'_>) -> Option<String> {
    let first = suite.all.first()?;
    let all: Vec<_> = suite
        .all
        .iter()
        .map(|it| (it.name.as_str(), &it.comparison))
        .collect();
    let content = html! {
        (short::section(&all))
        (overview::section(suite.all, suite.unmeasured))
        @if let Some(judgements) = suite.judgements { (changes::judgements(judgements)) }
        @if let Some(changes) = suite.changes { (changes::section(changes)) }
        @for measured in suite.all {
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

/// The page of what changed between two results, and of what a budget says.
pub fn render_changes(changes: &Changes, judgements: Option<&[Judgement<'_>]>) -> String {
    let content = html! {
        header {
            p.kicker { "jaula bench diff" }
            h1 { "What changed between two results?" }
        }
        main {
            @if let Some(judgements) = judgements { (changes::judgements(judgements)) }
            (changes::section(changes))
        }
        footer { "Made by jaula " (env!("CARGO_PKG_VERSION")) "." }
    };
    document("jaula bench diff", content)
}

/// What is said of one comparison; `key` tells its parts from those of others.
fn answer(key: &str, comparison: &Comparison) -> Markup {
    html! {
        (figures::section(key, comparison))
        (warnings::section(key, comparison))
        (charts::section(key, comparison))
        (load::section(key, &comparison.load))
        (disk::section(key, comparison))
        (isolation::section(key, comparison))
        (outputs::section(key, comparison))
    }
}

fn page(kicker: &str, title: Markup, any: &Comparison, content: Markup) -> String {
    let content = html! {
        header {
            p.kicker { (kicker) }
            h1 { (title) }
            p { (any.environment) }
        }
        main {
            (content)
            (floors::section(&any.environment.floors))
            (environment::section(&any.environment))
            (method::section())
        }
        footer {
            "Made by jaula " (env!("CARGO_PKG_VERSION")) " at "
            (any.environment.taken_at) "."
        }
    };
    document(kicker, content)
}

fn document(title: &str, content: Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Nothing can be fetched and nothing run, whatever a workload printed.
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (content) }
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
        Contender::JaulaRunVmCold => "jaula-run-vm-cold",
        Contender::JaulaRunVmWarm => "jaula-run-vm-warm",
        Contender::Peer(_) | Contender::Qemu => "peer",
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
mod browser;
#[cfg(test)]
pub(crate) mod tests;
