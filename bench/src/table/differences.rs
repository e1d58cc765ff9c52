//! The lines in which outputs differ.

use super::escape::visible;
use super::{finish, table};
use crate::units::size;
use crate::{Captured, Difference, Hunk, Pair, Way, Ways};

/// Most lines that are shown of one difference: the rest is for programs, in JSON.
const SHOWN_LINES: usize = 40;

/// What one stream has in common each way, and tables of what it has not.
pub(super) fn render(
    name: &str,
    differences: &[Difference],
    outputs: &Ways<&Captured>,
    width: u16,
) -> String {
    if differences.is_empty() {
        return format!("{name}: there are no two to compare");
    }
    if differences.iter().all(|difference| difference.identical) {
        let total_bytes = outputs.get(differences[0].between.first).total_bytes;
        return match total_bytes {
            0 => format!("{name}: nothing from any"),
            bytes => format!("{name}: the same from all, {}", size(bytes)),
        };
    }
    let vms_alike = differences
        .iter()
        .any(|it| it.identical && it.between.first == Way::VmCold);
    let parts: Vec<_> = differences
        .iter()
        .map(|difference| {
            let names = names(difference.between, vms_alike);
            one(name, difference, &names, outputs, width)
        })
        .collect();
    parts.join("\n\n")
}

/// What the two are called: a VM is just that where it makes no difference how it started.
fn names(between: Pair<Way>, vms_alike: bool) -> Pair<String> {
    let Pair { first, second } = between;
    Pair {
        first: first.to_string(),
        second: match first {
            Way::Container if vms_alike => second.side().to_string(),
            _ => second.to_string(),
        },
    }
}

fn one(
    stream: &str,
    difference: &Difference,
    names: &Pair<String>,
    outputs: &Ways<&Captured>,
    width: u16,
) -> String {
    let Pair { first, second } = names;
    let summary = summary(difference, outputs);
    let mut text = format!("{stream}, {first} and {second}: {summary}");
    let (hunks, omitted) = shown(&difference.hunks);
    if !hunks.is_empty() {
        text.push_str("\n\n");
        text.push_str(&if fit_side_by_side(&hunks, width) {
            side_by_side(names, &hunks, width)
        } else {
            one_above_the_other(names, &hunks, width)
        });
    }
    if omitted > 0 {
        text.push_str(&format!(
            "\n … and {omitted} more lines, in full with --json"
        ));
    }
    text
}

/// The first lines of the hunks, without what a terminal would obey, and how many are left out.
fn shown(hunks: &[Hunk]) -> (Vec<Hunk>, usize) {
    let mut room = SHOWN_LINES;
    let mut omitted = 0;
    let mut beginning = Vec::new();
    for Pair { first, second } in hunks {
        let lines = first.len().max(second.len());
        let shown = lines.min(room);
        room -= shown;
        omitted += lines - shown;
        if shown > 0 {
            let cut = |lines: &[String]| lines.iter().take(shown).map(|it| visible(it)).collect();
            beginning.push(Pair {
                first: cut(first),
                second: cut(second),
            });
        }
    }
    (beginning, omitted)
}

/// Whether no line has to be broken when each way has half of the width.
fn fit_side_by_side(hunks: &[Hunk], width: u16) -> bool {
    // A blank on either side of each column.
    let column = usize::from(width / 2).saturating_sub(2);
    hunks
        .iter()
        .flat_map(|hunk| hunk.first.iter().chain(&hunk.second))
        .all(|line| line.chars().count() <= column)
}

fn side_by_side(names: &Pair<String>, hunks: &[Hunk], width: u16) -> String {
    let mut table = table(width);
    table.set_header([&names.first, &names.second]);
    for hunk in hunks {
        table.add_row([hunk.first.join("\n"), hunk.second.join("\n")]);
    }
    finish(&table)
}

/// So that the columns of a line stay together, and above those of the other way.
fn one_above_the_other(names: &Pair<String>, hunks: &[Hunk], width: u16) -> String {
    let blocks: Vec<_> = hunks
        .iter()
        .map(|hunk| {
            let mut table = table(width);
            table.add_row([&names.first, &hunk.first.join("\n")]);
            table.add_row([&names.second, &hunk.second.join("\n")]);
            finish(&table)
        })
        .collect();
    blocks.join("\n\n")
}

fn summary(difference: &Difference, outputs: &Ways<&Captured>) -> String {
    let Pair { first, second } = difference.between;
    let (first, second) = (outputs.get(first), outputs.get(second));
    let truncated = first.truncated || second.truncated;
    let mut summary = if difference.identical && first.total_bytes == 0 {
        "nothing on both".to_owned()
    } else if difference.identical {
        format!("the same, {}", size(first.total_bytes))
    } else if difference.hunks.is_empty() && !truncated {
        "differs in line ends or in bytes that are no text".to_owned()
    } else {
        match difference.equal_lines {
            1 => "1 line alike".to_owned(),
            lines => format!("{lines} lines alike"),
        }
    };
    if truncated && !difference.identical {
        summary.push_str(&format!(
            " in the first {} of {} and of {}",
            size(crate::KEPT_BYTES as u64),
            size(first.total_bytes),
            size(second.total_bytes)
        ));
    }
    summary
}
