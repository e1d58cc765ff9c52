//! A [`Comparison`] as text for a person.

mod changes;
mod differences;
mod escape;
mod figures;
mod judgements;
pub(crate) mod load;
mod notes;
mod paragraph;
mod results;

use std::fmt::Write;

use comfy_table::{
    Cell, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle, presets::NOTHING,
};
use launch::{Charge, Span};

pub use changes::changes;
pub(crate) use escape::command_line;
pub use escape::visible;
pub use judgements::judgements;
pub(crate) use notes::{is_about_this_host, notes};
pub(crate) use results::cut_short;

use crate::floors::Floors;
use crate::units::{or_none, size, time};
use crate::{Comparison, Environment, FootprintReading, Outcome, Sample, WayReport, quantile};

/// No borders: a rule under the heads is enough, and columns are easy to cut out.
const STYLE: TableStyle = NOTHING.header_separator(LineStyle::none().fill('─').junction('─'));

/// The whole report, in lines of at most `width` characters where words allow it.
pub fn render(comparison: &Comparison, width: u16) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut text, comparison, width);
    text
}

fn write(text: &mut String, comparison: &Comparison, width: u16) -> std::fmt::Result {
    writeln!(
        text,
        "{}\n",
        escape::command_line(&comparison.workload.argv)
    )?;
    writeln!(text, "{}\n", figures(comparison, width))?;
    if let Some(series) = &comparison.series {
        writeln!(text, "{}\n", results::render(comparison, series, width))?;
    }
    if !comparison.figures.is_empty() {
        writeln!(
            text,
            "{}\n",
            self::figures::render(&comparison.figures, width)
        )?;
    }
    if comparison.has_figures_of_files() {
        for durability in &comparison.durability {
            writeln!(text, "{}", paragraph::fill(&durability.sentence(), width))?;
        }
        writeln!(text)?;
    }
    if let Some(load) = load::render(&comparison.load, width) {
        writeln!(text, "{load}\n")?;
    }
    writeln!(text, "{}\n", head_of_spans(comparison))?;
    writeln!(text, "{}\n", spans(comparison, width))?;
    writeln!(text, "What differs in what they saw\n")?;
    for (name, differences, outputs) in [
        (
            match comparison.figures.is_empty() {
                true => "standard output",
                false => "standard output, but for the numbers",
            },
            &comparison.stdout_differences,
            comparison.ways.as_ref().map(|report| &report.stdout),
        ),
        (
            "standard error",
            &comparison.stderr_differences,
            comparison.ways.as_ref().map(|report| &report.stderr),
        ),
    ] {
        writeln!(
            text,
            "{}\n",
            differences::render(name, differences, &outputs, width)
        )?;
    }
    if !comparison.warnings.is_empty() {
        writeln!(text, "Before you rely on these figures\n")?;
        for warning in &comparison.warnings {
            let line = format!("{} {}.", warning.id, escape::visible(&warning.detail));
            writeln!(text, "{}", paragraph::fill(&line, width))?;
        }
        writeln!(text)?;
    }
    writeln!(text, "{}", paragraph::fill(&host(comparison), width))?;
    if let Some(floors) = floors(&comparison.environment.floors) {
        writeln!(text, "{}", paragraph::fill(&floors, width))?;
    }
    for note in notes(comparison) {
        writeln!(
            text,
            "{}",
            paragraph::fill(&format!("Note: {note}."), width)
        )?;
    }
    Ok(())
}

fn table(width: u16) -> Table {
    let mut table = Table::new();
    table
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width);
    table
}

/// A table as text, without the blanks that pad its last column.
fn finish(table: &Table) -> String {
    let lines: Vec<_> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n")
}

/// What a way takes, each with whether there is a row even where no way tells.
const SIZES: [(&str, bool, OfReport); 9] = [
    ("memory, unreclaimable", true, |it| {
        it.footprint.settled_bytes()
    }),
    // Not every kernel tells these two apart of its own memory.
    ("memory, page tables", false, |it| {
        it.footprint.settled()?.page_tables_bytes
    }),
    ("memory, KVM's page tables", false, |it| {
        it.footprint.settled()?.kvm_page_tables_bytes
    }),
    ("memory, peak", true, |it| {
        Some(it.footprint.footprint()?.peak_bytes)
    }),
    ("memory, PSS", true, |it| it.footprint.pss_bytes()),
    // No guest's kernel is asked that has ended.
    ("guest memory, granted", false, |it| {
        Some(it.footprint.guest_memory()?.granted_bytes)
    }),
    ("guest memory, left", false, |it| {
        Some(it.footprint.guest_memory()?.left_bytes)
    }),
    ("disk, image", true, |it| {
        Some(it.disk.as_ref()?.image_bytes)
    }),
    ("disk, its own", true, |it| {
        Some(it.disk.as_ref()?.own.as_ref()?.all_at_end_bytes())
    }),
];

type OfReport = fn(&WayReport) -> Option<u64>;

/// What the checked run says; its times only where there are no better ones.
fn figures(comparison: &Comparison, width: u16) -> String {
    let reports = comparison.ways.as_ref().into_array();
    let mut table = table(width);
    let ways = reports.map(|report| report.way.to_string());
    table.set_header([String::new()].into_iter().chain(ways));
    let mut row = |name: &str, figure: &dyn Fn(&WayReport) -> String| {
        table.add_row([name.to_owned()].into_iter().chain(reports.map(figure)));
    };
    let optional_time = |ns: Option<u64>| or_none(ns, time);
    row("exit code", &|report| exit_code(&report.outcome));
    if comparison.series.is_none() {
        row("launch to main", &|report| {
            optional_time(report.launch_to_main_ns)
        });
        row("launch to exit", &|report| {
            optional_time(report.launch_to_exit_ns)
        });
    }
    for (name, is_always_shown, bytes) in SIZES {
        if is_always_shown || reports.iter().any(|report| bytes(report).is_some()) {
            row(name, &|report| or_none(bytes(report), size));
        }
    }
    finish(&table)
}

fn exit_code(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Ended { exit_code, .. } => exit_code.to_string(),
        Outcome::Ready => "not awaited".into(),
        Outcome::Failed { .. } => "failed".into(),
    }
}

fn head_of_spans(comparison: &Comparison) -> &'static str {
    match &comparison.series {
        None => "Where the time went, from launch to exit",
        Some(_) => "Where the time went, in the median run of each way",
    }
}

/// Of the run with the median time, so that they sum to what one run took; of the checked one, if
/// none was timed.
pub(crate) fn spans_of<'a>(comparison: &'a Comparison, report: &'a WayReport) -> &'a [Span] {
    let series = comparison.series.iter();
    let timed: Vec<_> = series
        .flat_map(|series| series.timed(report.way.into()))
        .filter(|sample| !sample.has_failed())
        .map(|sample| (start_ns(sample), sample.order, sample))
        .collect();
    let totals: Vec<_> = timed
        .iter()
        .map(|(total, order, _)| (*total, *order))
        .collect();
    let median = quantile(&totals, 0.5);
    let found = timed
        .iter()
        .find(|(total, order, _)| Some((*total, *order)) == median);
    found.map_or(&report.spans, |(_, _, sample)| &sample.spans)
}

/// To main, so that it is the start that is shown as the median; of all that was followed where there is
/// no main.
fn start_ns(sample: &Sample) -> u64 {
    let all = || sample.spans.iter().map(|span| span.duration_ns).sum();
    sample.launch_to_main_ns.unwrap_or_else(all)
}

fn spans(comparison: &Comparison, width: u16) -> String {
    let reports = comparison.ways.as_ref().into_array();
    let columns = reports.map(|report| spans_of(comparison, report));
    let mut table = table(width);
    table.set_header(
        reports
            .map(|report| [report.way.to_string(), String::new()])
            .concat(),
    );
    let rows = columns.map(<[Span]>::len).into_iter().max();
    for row in 0..rows.unwrap_or(0) {
        let cells = columns.map(|spans| match spans.get(row) {
            Some(span) => [
                Cell::new(&span.name),
                Cell::new(time(span.duration_ns)).set_alignment(CellAlignment::Right),
            ],
            None => [Cell::new(""), Cell::new("")],
        });
        table.add_row(cells.into_iter().flatten());
    }
    finish(&table)
}

fn host(comparison: &Comparison) -> String {
    let charge = comparison
        .ways
        .as_ref()
        .into_array()
        .into_iter()
        .find_map(|report| match &report.footprint {
            FootprintReading::Taken { footprint, .. } => Some(footprint.charge),
            FootprintReading::Unavailable { .. } => None,
        });
    let cgroup = charge.map_or("", |charge| match charge {
        Charge::CgroupV1 => ", cgroup v1",
        Charge::CgroupV2 => ", cgroup v2",
    });
    let Environment {
        host,
        image_file_system,
        programs,
        ..
    } = &comparison.environment;
    let image = image_file_system.as_ref();
    let image = image.map_or_else(String::new, |it| {
        let device = escape::visible(&it.device);
        format!(", the image on {} ({device})", it.kind)
    });
    format!(
        "{}{cgroup}{image}; {host}{programs}",
        comparison.environment
    )
}

/// What no launcher can be quicker than.
fn floors(floors: &Floors) -> Option<String> {
    if floors.floors.is_empty() {
        return None;
    }
    let each = floors.floors.iter();
    let each = each.map(|floor| format!("{} {}", floor.what, time(floor.least_ns)));
    let each = each.collect::<Vec<_>>().join("; ");
    let measuring = floors.measuring.as_ref();
    let measuring = measuring.map_or_else(String::new, |it| format!(" {it}"));
    Some(format!(
        "What the kernel takes at least: {each}.{measuring}"
    ))
}

#[cfg(test)]
mod tests;
