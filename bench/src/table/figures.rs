//! What the workload reports of itself.

use comfy_table::Cell;

use super::results::right;
use super::{NONE, finish, paragraph, table};
use crate::FigureResult;
use crate::measurand::Measurand;
use crate::units::time;

/// How to read the table, where it is shown.
pub(crate) const MEANING: &str = "p50 and p99 are of single operations, of batches' means where one takes \
    nanoseconds, by the workload's own clock, which is checked against the host's: the middle of what \
    the runs reported. Verdicts are about the runs' medians.";

/// One table for all figures, a line for each contender.
pub(super) fn render(figures: &[FigureResult], width: u16) -> String {
    let mut table = table(width);
    table.set_header(["it reports", "", "runs", "p50", "p99", "verdict"]);
    for result in figures {
        let mut name = result.figure.as_str();
        for row in &result.rows {
            let figure = |ns: Option<u64>| right(ns.map_or_else(|| NONE.into(), time));
            let verdict = row.of_runs.against.as_ref().map_or_else(String::new, |it| {
                Measurand::Duration.in_words(it.comparison.verdict, it.comparison.ratio)
            });
            table.add_row([
                Cell::new(name),
                Cell::new(row.of_runs.contender),
                right(row.of_runs.runs()),
                figure(row.of_runs.summary.map(|it| it.p50)),
                figure(row.p99_ns),
                Cell::new(verdict),
            ]);
            name = "";
        }
    }
    format!("{}\n{}", finish(&table), paragraph::fill(MEANING, width))
}
