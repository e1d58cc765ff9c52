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

/// The same of the processor time of each operation, where there is any.
pub(crate) const CPU_MEANING: &str = " CPU each is the processor time of all that the instance needs while an \
    operation was measured, by operation: the middle of the runs.";

/// One table for all figures, a line for each contender.
pub(super) fn render(figures: &[FigureResult], width: u16) -> String {
    let mut table = table(width);
    let mut rows = figures.iter().flat_map(|it| &it.rows);
    let has_cpu = rows.any(|row| row.cpu_ns.is_some());
    let heads = [
        Some("it reports"),
        Some(""),
        Some("runs"),
        Some("p50"),
        Some("p99"),
        has_cpu.then_some("CPU each"),
        Some("verdict"),
    ];
    table.set_header(heads.into_iter().flatten());
    for result in figures {
        let mut name = result.figure.as_str();
        for row in &result.rows {
            let figure = |ns: Option<u64>| right(ns.map_or_else(|| NONE.into(), time));
            let verdict = row.of_runs.against.as_ref().map_or_else(String::new, |it| {
                Measurand::Duration.in_words(it.comparison.verdict, it.comparison.ratio)
            });
            let cells = [
                Some(Cell::new(name)),
                Some(Cell::new(row.of_runs.contender)),
                Some(right(row.of_runs.runs())),
                Some(figure(row.of_runs.summary.map(|it| it.p50))),
                Some(figure(row.p99_ns)),
                has_cpu.then(|| figure(row.cpu_ns)),
                Some(Cell::new(verdict)),
            ];
            table.add_row(cells.into_iter().flatten());
            name = "";
        }
    }
    let mut meaning = MEANING.to_owned();
    if has_cpu {
        meaning.push_str(CPU_MEANING);
    }
    format!("{}\n{}", finish(&table), paragraph::fill(&meaning, width))
}
