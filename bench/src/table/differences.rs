//! The lines in which two outputs differ, side by side.

use super::escape::visible;
use super::{finish, table};
use crate::units::size;
use crate::{Captured, Difference, Sides};

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
    if !difference.hunks.is_empty() {
        let mut table = table(width);
        table.set_header(["container", "vm"]);
        let mut room = SHOWN_LINES;
        let mut omitted = 0;
        for hunk in &difference.hunks {
            let lines = hunk.container.len().max(hunk.vm.len());
            let shown = lines.min(room);
            room -= shown;
            omitted += lines - shown;
            if shown > 0 {
                table.add_row([&hunk.container, &hunk.vm].map(|lines| {
                    let lines: Vec<_> = lines.iter().take(shown).map(|it| visible(it)).collect();
                    lines.join("\n")
                }));
            }
        }
        text.push_str("\n\n");
        text.push_str(&finish(&table));
        if omitted > 0 {
            text.push_str(&format!(
                "\n … and {omitted} more lines, in full with --json"
            ));
        }
    }
    text
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
