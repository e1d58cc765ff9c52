//! What the workload reports of itself.

use comfy_table::Cell;

use super::results::right;
use super::{finish, paragraph, table};
use crate::FigureResult;
use crate::reported::{Table, tables};

/// A line for each contender and figure, and the same of processor time where it is known.
pub(super) fn render(figures: &[FigureResult], width: u16) -> String {
    let tables = tables(figures).map(|of| {
        let meaning = paragraph::fill(of.meaning, width);
        format!("{}\n{meaning}", one(&of, figures, width))
    });
    tables.collect::<Vec<_>>().join("\n\n")
}

fn one(of: &Table, figures: &[FigureResult], width: u16) -> String {
    let mut table = table(width);
    let heads = [of.head, "", "runs"].into_iter().chain(of.heads());
    table.set_header(heads.chain(["verdict"]));
    for result in figures {
        let mut name = result.figure.as_str();
        for (row, values) in of.rows(result) {
            let verdict = row.against.as_ref().map_or_else(String::new, |it| {
                (of.measurand).in_words(it.comparison.verdict, it.comparison.ratio)
            });
            let mut cells = vec![Cell::new(name), Cell::new(row.contender), right(row.runs())];
            cells.extend(values.into_iter().map(right));
            cells.push(Cell::new(verdict));
            table.add_row(cells);
            name = "";
        }
    }
    finish(&table)
}
