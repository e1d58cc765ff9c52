//! What changed between two results, and what a budget says of the newer one.

use maud::{Markup, html};

use crate::budget::Judgement;
use crate::changes::{Change, Changes};
use crate::table::visible;

pub(super) fn section(changes: &Changes) -> Markup {
    html! {
        section aria-labelledby="changes" {
            h2 #changes { "What changed" }
            @if changes.rows.is_empty() { p.note { "There is nothing that both have measured." } }
            @else {
                p { (changes.in_short()) }
                (table(Changes::HEADS, changes.rows.iter().map(Change::row)))
                p.note { (Changes::METHOD) }
            }
            @for note in changes.notes() { p.note { "Note: " (visible(note)) "." } }
        }
    }
}

pub(super) fn judgements(judgements: &[Judgement<'_>]) -> Markup {
    html! {
        section aria-labelledby="budget" {
            h2 #budget { "Limits" }
            (table(Judgement::HEADS, judgements.iter().map(Judgement::row)))
        }
    }
}

fn table<const N: usize>(heads: [&str; N], rows: impl Iterator<Item = [String; N]>) -> Markup {
    html! {
        div.wide { table.words {
            thead { tr { @for head in heads { th scope="col" { (head) } } } }
            tbody { @for row in rows { tr { @for cell in &row { td { (visible(cell)) } } } } }
        } }
    }
}
