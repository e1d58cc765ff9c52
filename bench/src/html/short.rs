//! For who has never seen any of this: what ran, what it cost, and why, in some sentences.

use maud::{Markup, html};

use super::costs::{self, Found};
use super::series::spans;
use super::steps::meaning;
use super::{class, named};
use crate::statistics::Verdict;
use crate::table::is_about_this_host;
use crate::units::{three_digits, time};
use crate::{Against, Comparison, Contender, Metric, ResultRow};

/// One line for each contender that the first of these times to main, and what they all cost beside
/// that; nothing if that times none.
pub(super) fn section(all: &[Found<'_>]) -> Markup {
    let starts = all.first().and_then(|(_, first)| {
        let mut results = first.results.iter();
        Some((first, results.find(|it| it.metric == Metric::Main)?))
    });
    let Some((comparison, starts)) = starts else {
        return html! {};
    };
    html! {
        section aria-labelledby="short" {
            h2 #short { "In short" }
            p {
                "The same command with the same files, user and limits was started in several ways on one machine, "
                "in turns. How long each takes until the command begins, and where most of that goes:"
            }
            ul.verdicts {
                @for row in &starts.rows { (one(comparison, row)) }
            }
            (costs::section(all))
            @if let Some(sentence) = is_about_this_host(comparison) { p.note { "Note: " (sentence) "." } }
        }
    }
}

fn one(comparison: &Comparison, row: &ResultRow) -> Markup {
    let contender = row.contender;
    html! {
        li class=(class(contender)) {
            strong {
                (named(contender)) ": "
                @match row.summary {
                    Some(summary) => (time(summary.p50)),
                    None => "no run succeeded",
                }
                @if let Some(against) = &row.against { ", " (times(against)) }
            }
            p { (what(contender)) (why(comparison, contender).unwrap_or_default()) }
        }
    }
}

/// How many times what it is held against takes, as far as that was shown.
fn times(against: &Against) -> String {
    let Against {
        reference,
        comparison,
    } = against;
    let times = match comparison.ratio {
        Some(ratio) => format!("{} times the {reference}", three_digits(ratio)),
        None => format!("against no time of the {reference}"),
    };
    match comparison.verdict {
        Verdict::Faster | Verdict::Slower => times,
        Verdict::Equivalent => format!("as quick as the {reference}"),
        Verdict::Inconclusive => format!("{times}, which these runs do not show for sure"),
        Verdict::TooFewPairs => format!("{times}, of too few runs for a verdict"),
    }
}

fn what(contender: Contender) -> &'static str {
    match contender {
        Contender::HostProcess => {
            "A plain process of this machine, with nothing around it: the least that a start can take."
        }
        Contender::Container => {
            "The same with namespaces, limits and a filter of system calls around it. The host's kernel serves it."
        }
        Contender::VmWarm => {
            "A virtual machine that goes on where a kernel of its own has booted before."
        }
        Contender::VmCold => "A virtual machine that boots a kernel of its own first.",
        Contender::JaulaRun => {
            "The container, by jaula as a whole process: its program's own start is in it."
        }
        Contender::JaulaRunVmCold | Contender::JaulaRunVmWarm => {
            "The same VM, by jaula as a whole process: its program's own start is in it."
        }
        Contender::Peer(_) => "Another runner, as a whole process.",
        Contender::Qemu => "QEMU as a whole process: another monitor, which boots the same kernel.",
    }
}

/// The longest step of its median start.
fn why(comparison: &Comparison, contender: Contender) -> Option<String> {
    let all = spans(comparison);
    let (_, spans) = all.iter().find(|(other, _)| *other == contender)?;
    let total: u64 = spans.iter().map(|it| it.duration_ns).sum();
    let most = spans.iter().max_by_key(|it| it.duration_ns)?;
    let part = if most.duration_ns * 2 > total {
        "Most of its median run"
    } else {
        "The largest part of its median run"
    };
    let step = match meaning(&most.name) {
        Some(meaning) => format!("that {meaning} (“{}”)", most.name),
        None => format!("the step “{}”", most.name),
    };
    Some(format!(
        " {part}, {} of {}, is {step}.",
        time(most.duration_ns),
        time(total),
    ))
}
