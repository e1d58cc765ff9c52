//! The lines in which two outputs differ.

use super::escape::visible;
use super::{finish, table};
use crate::units::size;
use crate::{Captured, Difference, Hunk, Sides};

/// Most lines that are shown of one stream: the rest is for programs, in JSON.
const SHOWN_LINES: usize = 40;

/// What the sides of one stream have in common, and a table of what they have not.
pub(super) fn render(
    name: &str,
    difference: &Difference,
    outputs: Sides<&Captured>,
    width: u16,
) -> String {
    let mut text = format!("{name}: {}", summary(difference, &outputs));
    let (hunks, omitted) = shown(&difference.hunks);
    if !hunks.is_empty() {
        text.push_str("\n\n");
        text.push_str(&if fit_side_by_side(&hunks, width) {
            side_by_side(&hunks, width)
        } else {
            one_above_the_other(&hunks, width)
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
    let mut first = Vec::new();
    for hunk in hunks {
        let lines = hunk.container.len().max(hunk.vm.len());
        let shown = lines.min(room);
        room -= shown;
        omitted += lines - shown;
        if shown > 0 {
            let cut =
                |lines: &Vec<String>| lines.iter().take(shown).map(|it| visible(it)).collect();
            first.push(hunk.as_ref().map(cut));
        }
    }
    (first, omitted)
}

/// Whether no line has to be broken when each side has half of the width.
fn fit_side_by_side(hunks: &[Hunk], width: u16) -> bool {
    // A blank on either side of each column.
    let column = usize::from(width / 2).saturating_sub(2);
    hunks
        .iter()
        .flat_map(|hunk| hunk.container.iter().chain(&hunk.vm))
        .all(|line| line.chars().count() <= column)
}

fn side_by_side(hunks: &[Hunk], width: u16) -> String {
    let mut table = table(width);
    table.set_header(["container", "vm"]);
    for hunk in hunks {
        table.add_row([hunk.container.join("\n"), hunk.vm.join("\n")]);
    }
    finish(&table)
}

/// So that the columns of a line stay together, and above those of the other side.
fn one_above_the_other(hunks: &[Hunk], width: u16) -> String {
    let blocks: Vec<_> = hunks
        .iter()
        .map(|hunk| {
            let mut table = table(width);
            table.add_row(["container", &hunk.container.join("\n")]);
            table.add_row(["vm", &hunk.vm.join("\n")]);
            finish(&table)
        })
        .collect();
    blocks.join("\n\n")
}

fn summary(difference: &Difference, outputs: &Sides<&Captured>) -> String {
    let Sides { container, vm } = outputs;
    let mut summary = if difference.identical && container.total_bytes == 0 {
        "nothing on both".to_owned()
    } else if difference.identical {
        format!("the same on both, {}", size(container.total_bytes))
    } else if difference.hunks.is_empty() && !container.truncated && !vm.truncated {
        "differs in line ends or in bytes that are no text".to_owned()
    } else {
        match difference.equal_lines {
            1 => "1 line alike".to_owned(),
            lines => format!("{lines} lines alike"),
        }
    };
    if (container.truncated || vm.truncated) && !difference.identical {
        summary.push_str(&format!(
            " in the first {} of {} and of {}",
            size(crate::KEPT_BYTES as u64),
            size(container.total_bytes),
            size(vm.total_bytes)
        ));
    }
    summary
}
