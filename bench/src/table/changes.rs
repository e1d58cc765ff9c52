//! What changed, as text.

use comfy_table::{ColumnConstraint, Width};

use super::{finish, paragraph, table, visible};
use crate::changes::{Change, Changes};

/// "inconclusive", with a blank on each side.
const LONGEST_WORD: u16 = 14;

/// A table with a row for each metric of each contender, and what must be known to read it.
pub fn changes(changes: &Changes, width: u16) -> String {
    let mut parts = Vec::new();
    if !changes.rows.is_empty() {
        let mut table = table(width);
        table.set_header(Changes::HEADS);
        for row in changes.rows.iter().map(Change::row) {
            table.add_row(row.map(|cell| visible(&cell)));
        }
        // However narrow it gets, no verdict is broken within a word.
        if let Some(verdicts) = table.column_mut(Changes::HEADS.len() - 1) {
            verdicts.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(LONGEST_WORD)));
        }
        parts.push(finish(&table));
        parts.push(paragraph::fill(&changes.in_short(), width));
        parts.push(paragraph::fill(Changes::METHOD, width));
    }
    let notes: Vec<_> = changes
        .notes()
        .map(|note| paragraph::fill(&format!("Note: {}.", visible(note)), width))
        .collect();
    if !notes.is_empty() {
        parts.push(notes.join("\n"));
    }
    parts.join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::tests::measured;

    #[test]
    fn each_change_is_a_line_and_what_to_know_follows() {
        let mut after = measured("startup");
        after.comparison.environment.cpus = 64;
        let all = Changes::between(&[measured("startup"), measured("hash")], &[after]);
        let text = changes(&all, 120);
        let cold = text.lines().find(|line| line.contains("vm cold")).unwrap();
        for part in [
            "startup",
            "launch to main",
            "7 (1 failed) and 7",
            "6.00 s",
            "equivalent",
        ] {
            assert!(cold.contains(part), "{cold}");
        }
        assert!(
            text.contains("Note: hash was only measured before."),
            "{text}"
        );
        assert!(text.ends_with(", and is 64."), "{text}");
        let narrow = changes(&all, 80);
        let whole = |word: &str| text.matches(word).count() == narrow.matches(word).count();
        assert!(whole("equivalent") && whole("inconclusive"), "{narrow}");
    }
}
