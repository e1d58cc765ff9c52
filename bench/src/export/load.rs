//! Many instances at once, as tables.

use super::Measured;
use super::csv::line;
use super::plain::plain;
use crate::load::{Concurrency, Density, Elasticity, Load};
use crate::table::load::{TOLD_AFTER, in_words, percent, why};
use crate::units::{or_none, signed_size, size, time};

/// A row for each workload, way and number of instances that were kept running; `None` if nobody asked
/// for that. In bytes and nanoseconds.
pub fn density_csv(all: &[Measured]) -> Option<String> {
    let rows = all.iter().flat_map(|measured| {
        let ways = measured
            .comparison
            .load
            .density
            .iter()
            .flat_map(|it| &it.ways);
        ways.flat_map(|way| {
            way.steps.iter().map(|step| {
                [
                    measured.name.clone(),
                    way.contender.to_string(),
                    step.instances.to_string(),
                    step.available_bytes.to_string(),
                    way.taken_bytes(step).to_string(),
                    step.is_settled.to_string(),
                    number(step.charged_bytes),
                    number(step.launch_ns.map(|it| it.p50)),
                ]
            })
        })
    });
    table(
        "workload,contender,instances,available_bytes,taken_bytes,is_settled,charged_bytes,\
         launch_p50_ns",
        rows,
    )
}

/// A row for each instance that was launched at once with others, and was there; `None` if there was
/// none. In nanoseconds.
pub fn concurrency_csv(all: &[Measured]) -> Option<String> {
    let rows = all.iter().flat_map(|measured| {
        let load = &measured.comparison.load;
        load.concurrency.iter().flat_map(|concurrency| {
            concurrency.ways.iter().flat_map(|way| {
                way.each_ns.iter().map(|took_ns| {
                    [
                        measured.name.clone(),
                        way.contender.to_string(),
                        concurrency.asked.to_string(),
                        concurrency.metric.word().to_owned(),
                        took_ns.to_string(),
                    ]
                })
            })
        })
    });
    table("workload,contender,at_once,metric,took_ns", rows)
}

/// A row for each reading after a command had freed its memory; `None` if there was none. In bytes and
/// nanoseconds.
pub fn elasticity_csv(all: &[Measured]) -> Option<String> {
    let rows = all.iter().flat_map(|measured| {
        let load = &measured.comparison.load;
        let ways = load.elasticity.iter().flat_map(|it| &it.ways);
        ways.flat_map(|way| {
            way.held.iter().map(|held| {
                [
                    measured.name.clone(),
                    way.contender.to_string(),
                    number(way.at_main_bytes),
                    number(way.most_bytes),
                    held.after_ns.to_string(),
                    held.charged_bytes.to_string(),
                ]
            })
        })
    });
    table(
        "workload,contender,at_main_bytes,most_bytes,after_ns,charged_bytes",
        rows,
    )
}

/// Records below their heads; `None` if there are none.
fn table<const FIELDS: usize>(
    heads: &str,
    rows: impl Iterator<Item = [String; FIELDS]>,
) -> Option<String> {
    let mut rows = rows.peekable();
    rows.peek()?;
    let heads = std::iter::once(format!("{heads}\r\n"));
    Some(heads.chain(rows.map(|fields| line(&fields))).collect())
}

/// What is not known is empty.
fn number(value: Option<u64>) -> String {
    value.map_or_else(String::new, |it| it.to_string())
}

/// Tables in Markdown.
pub(super) fn markdown(load: &Load) -> String {
    let density = load.density.iter().map(density);
    density
        .chain(load.concurrency.iter().map(concurrency))
        .chain(load.elasticity.iter().map(elasticity))
        .collect()
}

fn density(density: &Density) -> String {
    let mut text = format!(
        "| kept running | instances | the host's memory | {}, p50 |\n|---|---:|---:|---:|\n",
        density.metric
    );
    for way in &density.ways {
        for step in way.steps.iter().skip(1) {
            text.push_str(&format!(
                "| {} | {} | {}{} | {} |\n",
                way.contender,
                step.instances,
                signed_size(way.taken_bytes(step)),
                if step.is_settled { "" } else { " or so" },
                or_none(step.launch_ns, |it| time(it.p50)),
            ));
        }
    }
    text.push('\n');
    for way in &density.ways {
        text.push_str(&format!(
            "- {}: {}.\n",
            way.contender,
            plain(&in_words(way, density.asked)),
        ));
    }
    text.push('\n');
    text
}

fn concurrency(concurrency: &Concurrency) -> String {
    let mut text = format!(
        "| {} at once, {} | there | p50 | p90 | max | all there |\n|---|---:|---:|---:|---:|---:|\n",
        concurrency.asked, concurrency.metric
    );
    let mut ends = String::new();
    for way in &concurrency.ways {
        let figure = |ns: Option<u64>| or_none(ns, time);
        text.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} |\n",
            way.contender,
            way.each_ns.len(),
            figure(way.summary.map(|it| it.p50)),
            figure(way.summary.map(|it| it.p90)),
            figure(way.summary.map(|it| it.max)),
            figure(way.all_there_ns),
        ));
        if let Some(why) = why(&way.ended) {
            ends.push_str(&format!(
                "- {} was not there as a whole: {}.\n",
                way.contender,
                plain(&why)
            ));
        }
    }
    if !ends.is_empty() {
        ends.push('\n');
    }
    format!("{text}\n{ends}")
}

fn elasticity(elasticity: &Elasticity) -> String {
    let after = TOLD_AFTER.map(|seconds| format!(" back after {seconds} s |"));
    let mut text = format!(
        "| memory that was freed | taken |{}\n|---|---:|---:|---:|---:|\n",
        after.concat()
    );
    let mut ends = String::new();
    for way in &elasticity.ways {
        let taken = or_none(way.taken_bytes(), size);
        let after =
            TOLD_AFTER.map(|seconds| format!(" {} |", percent(way.returned_percent(seconds))));
        text.push_str(&format!(
            "| {} | {taken} |{}\n",
            way.contender,
            after.concat()
        ));
        if let Some(why) = why(&way.ended) {
            ends.push_str(&format!(
                "- {} was not followed to the end: {}.\n",
                way.contender,
                plain(&why)
            ));
        }
    }
    if !ends.is_empty() {
        ends.push('\n');
    }
    format!("{text}\n{ends}")
}
