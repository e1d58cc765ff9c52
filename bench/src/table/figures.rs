//! What the workload reports of itself.

use comfy_table::Cell;

use super::results::right;
use super::{NONE, finish, paragraph, table};
use crate::measurand::Measurand;
use crate::{FigureResult, FigureRow, ResultRow};

/// How to read the table, where it is shown.
pub(crate) const MEANING: &str = "p50 and p99 are of single operations, of batches' means where one takes \
    nanoseconds, by the workload's own clock, which is checked against the host's: the middle of what \
    the runs reported. Verdicts are about the runs' medians.";

/// The same of the processor time of each operation, where there is any.
pub(crate) const CPU_MEANING: &str = "The processor time of all that the instance needs while an operation \
    was measured, by operation: a run counts with the mean of its operations, and p50, p90, max and verdicts \
    are about the runs.";

/// A line for each contender and figure, and the same of processor time where it is known.
pub(super) fn render(figures: &[FigureResult], width: u16) -> String {
    let reported = [
        one(
            ["it reports", "", "runs", "p50", "p99", "verdict"],
            figures,
            |row| {
                let p50 = row.of_runs.summary.map(|it| it.p50);
                let measurand = Measurand::Duration;
                Some(cells(&row.of_runs, measurand, [p50, row.p99_ns]))
            },
            width,
        ),
        paragraph::fill(MEANING, width),
    ];
    let reported = reported.join("\n");
    if !has_cpu(figures) {
        return reported;
    }
    let cpu = [
        one(
            ["CPU each", "", "runs", "p50", "p90", "max", "verdict"],
            figures,
            |row| {
                let cpu = row.cpu.as_ref()?;
                let summary = cpu.summary;
                let measurand = Measurand::ProcessorTime;
                let [p50, p90, max] = [
                    summary.map(|it| it.p50),
                    summary.map(|it| it.p90),
                    summary.map(|it| it.max),
                ];
                Some(cells(cpu, measurand, [p50, p90, max]))
            },
            width,
        ),
        paragraph::fill(CPU_MEANING, width),
    ];
    format!("{reported}\n\n{}", cpu.join("\n"))
}

/// Whether the processor time of an operation is known.
pub(crate) fn has_cpu(figures: &[FigureResult]) -> bool {
    let mut rows = figures.iter().flat_map(|it| &it.rows);
    rows.any(|row| row.cpu.is_some())
}

fn one<const HEADS: usize>(
    heads: [&str; HEADS],
    figures: &[FigureResult],
    cells: impl Fn(&FigureRow) -> Option<Vec<Cell>>,
    width: u16,
) -> String {
    let mut table = table(width);
    table.set_header(heads);
    for result in figures {
        let mut name = result.figure.as_str();
        for cells in result.rows.iter().filter_map(&cells) {
            table.add_row(std::iter::once(Cell::new(name)).chain(cells));
            name = "";
        }
    }
    finish(&table)
}

/// What stands behind the figure's name.
fn cells<const VALUES: usize>(
    row: &ResultRow,
    measurand: Measurand,
    values: [Option<u64>; VALUES],
) -> Vec<Cell> {
    let amount = |value: Option<u64>| {
        right(value.map_or_else(|| NONE.into(), |value| measurand.amount(value)))
    };
    let verdict = row.against.as_ref().map_or_else(String::new, |it| {
        measurand.in_words(it.comparison.verdict, it.comparison.ratio)
    });
    let mut cells = vec![Cell::new(row.contender), right(row.runs())];
    cells.extend(values.map(amount));
    cells.push(Cell::new(verdict));
    cells
}
