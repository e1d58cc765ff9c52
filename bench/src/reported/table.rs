use super::{FigureResult, FigureRow};
use crate::ResultRow;
use crate::measurand::Measurand;
use crate::units::or_none;

/// What there is to show of figures, whoever shows it: a row for each figure and contender.
pub(crate) struct Table {
    /// Above it, where it has a title.
    pub(crate) title: &'static str,
    /// Above the figures' names, where it has none.
    pub(crate) head: &'static str,
    /// How to read it.
    pub(crate) meaning: &'static str,
    /// What the values are of.
    pub(crate) measurand: Measurand,
    of_runs: fn(&FigureRow) -> Option<&ResultRow>,
    values: &'static [(&'static str, Value)],
}

type Value = fn(&FigureRow) -> Option<u64>;

const BY_CLOCK: Table = Table {
    title: "What the workload reports",
    head: "it reports",
    meaning: "p50 and p99 are of single operations, of batches' means where one takes nanoseconds, by the \
        workload's own clock, which is checked against the host's: the middle of what the runs reported. \
        Verdicts are about the runs' medians.",
    measurand: Measurand::Duration,
    of_runs: |row| Some(&row.of_runs),
    values: &[
        ("p50", |row| Some(row.of_runs.summary?.p50)),
        ("p99", |row| row.p99_ns),
    ],
};

const BY_PROCESSOR: Table = Table {
    title: "Processor time of each operation",
    head: "CPU each",
    meaning: "The processor time of all that the instance needs while an operation was measured, by \
        operation: a run counts with the mean of its operations, and p50, p90, max and verdicts are about \
        the runs.",
    measurand: Measurand::ProcessorTime,
    of_runs: |row| row.cpu.as_ref(),
    values: &[
        ("p50", |row| Some(row.cpu.as_ref()?.summary?.p50)),
        ("p90", |row| Some(row.cpu.as_ref()?.summary?.p90)),
        ("max", |row| Some(row.cpu.as_ref()?.summary?.max)),
    ],
};

/// Those of which these figures have rows.
pub(crate) fn tables(figures: &[FigureResult]) -> impl Iterator<Item = Table> {
    let has_rows = move |it: &Table| {
        figures
            .iter()
            .any(|result| it.rows(result).next().is_some())
    };
    [BY_CLOCK, BY_PROCESSOR].into_iter().filter(has_rows)
}

impl Table {
    /// The heads of the values.
    pub(crate) fn heads(&self) -> impl Iterator<Item = &'static str> {
        self.values.iter().map(|(head, _)| *head)
    }

    /// A figure's rows, each with its values or what stands for none.
    pub(crate) fn rows<'a>(
        &self,
        result: &'a FigureResult,
    ) -> impl Iterator<Item = (&'a ResultRow, Vec<String>)> {
        result.rows.iter().filter_map(move |row| {
            let values = self.values.iter().map(|(_, value)| value(row));
            let values = values.map(|it| or_none(it, |it| self.measurand.amount(it)));
            Some(((self.of_runs)(row)?, values.collect()))
        })
    }
}
