//! What a workload shows beside times, as rows of the table.

use crate::html::costs::AT_LAST_S;
use crate::load::{Concurrency, Density, Elasticity};
use crate::table::load::percent;
use crate::units::{signed_three_digits, size, time};
use crate::{Comparison, Contender, FootprintReading, WayReport};

/// Something that is told of each way.
pub(super) struct Row {
    pub(super) what: String,
    cells: Vec<(Contender, Option<String>)>,
}

impl Row {
    /// What is told of this one; `None` if nothing is.
    pub(super) fn cell(&self, contender: Contender) -> Option<&str> {
        let (_, told) = self.cells.iter().find(|(it, _)| *it == contender)?;
        told.as_deref()
    }

    /// Those of whom it is told.
    pub(super) fn contenders(&self) -> impl Iterator<Item = Contender> {
        self.cells.iter().map(|(contender, _)| *contender)
    }
}

/// What many instances show; and of one that was not timed, what it was run for.
pub(super) fn rows(comparison: &Comparison) -> Vec<Row> {
    let load = &comparison.load;
    let mut rows: Vec<_> = [
        load.density.as_ref().map(one_more),
        load.concurrency.as_ref().map(at_once),
        load.elasticity.as_ref().map(given_back),
    ]
    .into_iter()
    .flatten()
    .collect();
    if rows.is_empty() && comparison.series.is_none() {
        rows.push(of_ways(comparison, "memory, peak", peak));
        rows.push(of_ways(comparison, "disk, its own", own_disk));
    }
    rows
}

fn one_more(density: &Density) -> Row {
    let cell = |mib: f64| format!("{} MiB", signed_three_digits(mib));
    let ways = density.ways.iter();
    Row {
        what: "one more instance".into(),
        cells: ways
            .map(|way| (way.contender, way.per_instance.map(|it| cell(it.mib))))
            .collect(),
    }
}

fn at_once(concurrency: &Concurrency) -> Row {
    let ways = concurrency.ways.iter();
    Row {
        what: format!("{} at once, all there", concurrency.asked),
        cells: ways
            .map(|way| (way.contender, way.all_there_ns.map(time)))
            .collect(),
    }
}

fn given_back(elasticity: &Elasticity) -> Row {
    let ways = elasticity.ways.iter();
    Row {
        what: format!("freed memory back after {AT_LAST_S} s"),
        cells: ways
            .map(|way| {
                let share = way.returned_percent(AT_LAST_S);
                (way.contender, share.map(|it| percent(Some(it))))
            })
            .collect(),
    }
}

fn of_ways(comparison: &Comparison, what: &str, bytes: fn(&WayReport) -> Option<u64>) -> Row {
    let reports = comparison.ways.as_ref().into_array().into_iter();
    Row {
        what: what.into(),
        cells: reports
            .map(|report| (report.way.into(), bytes(report).map(size)))
            .collect(),
    }
}

fn peak(report: &WayReport) -> Option<u64> {
    match &report.footprint {
        FootprintReading::Taken { footprint, .. } => Some(footprint.peak_bytes),
        FootprintReading::Unavailable { .. } => None,
    }
}

fn own_disk(report: &WayReport) -> Option<u64> {
    let own = report.disk.as_ref()?.own.as_ref()?;
    Some(own.all_at_end_bytes())
}
