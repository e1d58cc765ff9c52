//! What was checked before anything was timed: exit codes and outputs.

use maud::{Markup, html};

use super::{id, named};
use crate::table::visible;
use crate::{Captured, Comparison, Contender, Difference, Outcome, Pair, WayReport};

/// How much of an output is shown: who wants all of it has the JSON.
const SHOWN_CHARS: usize = 2_000;

/// How many places are shown in which outputs differ, and of each how many lines.
const SHOWN_HUNKS: usize = 20;

/// See [`SHOWN_HUNKS`].
const SHOWN_LINES: usize = 10;

pub(super) fn section(key: &str, comparison: &Comparison) -> Markup {
    let reports = comparison.ways.as_ref().into_array();
    html! {
        section aria-labelledby=(id(key, "outputs")) {
            h3.part id=(id(key, "outputs")) { "Do they do the same?" }
            p {
                "Before anything was timed, the command ran once each way, and what came of it was compared. "
                "Times of commands that do different things would say nothing."
            }
            div.wide { table {
                thead { tr {
                    th scope="col" { "way" } th.number scope="col" { "exit code" }
                    th.number scope="col" { "standard output" } th.number scope="col" { "standard error" }
                } }
                tbody { @for report in reports { tr {
                    th scope="row" { (named(Contender::from(report.way))) }
                    td.number { (exit_code(report)) }
                    td.number { (report.stdout.total_bytes) " B" }
                    td.number { (report.stderr.total_bytes) " B" }
                } } }
            } }
            @if !comparison.figures.is_empty() {
                p { "Of outputs that report figures the names are compared, as the figures are what is to differ." }
            }
            (differences("Standard output", &comparison.stdout_differences))
            (differences("Standard error", &comparison.stderr_differences))
            @for report in reports { (output(report)) }
        }
    }
}

fn exit_code(report: &WayReport) -> String {
    match report.outcome {
        Outcome::Ended { exit_code, .. } => exit_code.to_string(),
        Outcome::Ready => "not awaited".into(),
        Outcome::Failed { .. } => "failed".into(),
    }
}

fn differences(stream: &str, differences: &[Difference]) -> Markup {
    html! {
        @for difference in differences {
            @let Pair { first, second } = difference.between;
            @if difference.identical {
                p { (stream) ": the same from " (first) " and " (second) "." }
            } @else {
                p {
                    (stream) " of " (first) " and " (second) " differs; "
                    (difference.equal_lines) " lines are equal. Left " (first) ", right " (second) "."
                }
                div.wide { table { tbody {
                    @for hunk in difference.hunks.iter().take(SHOWN_HUNKS) { tr {
                        td { code { (lines(&hunk.first)) } }
                        td { code.diff { (lines(&hunk.second)) } }
                    } }
                } } }
                @if difference.hunks.len() > SHOWN_HUNKS {
                    p.note { "… and " (difference.hunks.len() - SHOWN_HUNKS) " more places." }
                }
            }
        }
    }
}

fn lines(lines: &[String]) -> Markup {
    html! {
        @for line in lines.iter().take(SHOWN_LINES) { (visible(line)) br; }
        @if lines.len() > SHOWN_LINES { "…" }
    }
}

fn output(report: &WayReport) -> Markup {
    html! {
        @for (stream, captured) in [("output", &report.stdout), ("error", &report.stderr)] {
            @if captured.total_bytes > 0 {
                details {
                    summary { "Standard " (stream) " of " (report.way) }
                    pre tabindex="0" { (beginning(captured)) }
                }
            }
        }
    }
}

fn beginning(captured: &Captured) -> String {
    let lines: Vec<_> = captured.text.lines().map(visible).collect();
    let text = lines.join("\n");
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}\n…", &text[..end]),
        None => text,
    }
}
