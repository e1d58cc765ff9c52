//! What many instances at once have shown.

use comfy_table::Cell;

use super::results::right;
use super::{finish, paragraph, table};
use crate::load::{
    Concurrency, Density, DensityOfWay, Elasticity, ElasticityOfWay, Load, LoadEnd, PerInstance,
};
use crate::units::{or_none, signed_size, signed_three_digits, size, three_digits, time};

/// A table for each that was asked for, with what stopped it below; `None` if none was.
pub(super) fn render(load: &Load, width: u16) -> Option<String> {
    let parts = [
        load.density.as_ref().map(|it| density(it, width)),
        load.concurrency.as_ref().map(|it| concurrency(it, width)),
        load.elasticity.as_ref().map(|it| elasticity(it, width)),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("\n\n"))
}

fn density(density: &Density, width: u16) -> String {
    let mut table = table(width);
    table.set_header([
        "kept running".to_owned(),
        "instances".into(),
        "the host's memory".into(),
        format!("{}, p50", density.metric),
    ]);
    for way in &density.ways {
        for step in way.steps.iter().skip(1) {
            let unsettled = if step.is_settled { "" } else { " or so" };
            table.add_row([
                Cell::new(way.contender),
                right(step.instances.to_string()),
                right(format!("{}{unsettled}", signed_size(way.taken_bytes(step)))),
                right(or_none(step.launch_ns, |it| time(it.p50))),
            ]);
        }
    }
    let mut lines = vec![finish(&table)];
    for way in &density.ways {
        let line = format!(" {}: {}", way.contender, in_words(way, density.asked));
        lines.push(paragraph::fill(&line, width));
    }
    lines.join("\n")
}

/// What one more costs, and where it ended.
pub(crate) fn in_words(way: &DensityOfWay, asked: usize) -> String {
    let cost = way.per_instance.map(per_instance);
    let cost = cost.unwrap_or_else(|| "what one more costs is not known".into());
    let charged = way.charged_per_instance;
    let charged = charged.map_or_else(String::new, |it| {
        format!(", {} MiB charged", three_digits(it.mib))
    });
    // The one before any ran counts in each figure.
    let restless = match way.steps.iter().any(|step| !step.is_settled) {
        true => "; the host's memory did not keep still: others work there, too",
        false => "",
    };
    format!("{cost}{charged}{}{restless}", stopped(way, asked))
}

fn per_instance(per_instance: PerInstance) -> String {
    let PerInstance { mib, interval_mib } = per_instance;
    let mib = signed_three_digits(mib);
    let interval = interval_mib.map_or_else(String::new, |it| {
        let [low, high] = [it.low, it.high].map(signed_three_digits);
        format!(" ({low} to {high})")
    });
    format!("{mib} MiB of the host's memory an instance{interval}")
}

/// Where one ended early and why, in words.
fn stopped(way: &DensityOfWay, asked: usize) -> String {
    match why(&way.ended) {
        None => String::new(),
        Some(why) => format!("; it ended at {} of {asked}: {why}", way.ran),
    }
}

/// Why there were no more; `None` if all were there.
pub(crate) fn why(end: &LoadEnd) -> Option<String> {
    Some(match end {
        LoadEnd::Complete => return None,
        LoadEnd::Failed { reason } => super::visible(reason),
        LoadEnd::LowMemory { available_bytes } => format!(
            "the host had {} of memory left, which is kept for others",
            size(*available_bytes)
        ),
        LoadEnd::OutOfTime => "there was no time for more (--budget-time)".into(),
        LoadEnd::Interrupted => "it was interrupted".into(),
    })
}

fn concurrency(concurrency: &Concurrency, width: u16) -> String {
    let mut table = table(width);
    table.set_header([
        format!("{} at once, {}", concurrency.asked, concurrency.metric),
        "there".into(),
        "p50".into(),
        "p90".into(),
        "max".into(),
        "all there".into(),
    ]);
    for way in &concurrency.ways {
        let figure = |ns: Option<u64>| right(or_none(ns, time));
        table.add_row([
            Cell::new(way.contender),
            right(way.each_ns.len().to_string()),
            figure(way.summary.map(|it| it.p50)),
            figure(way.summary.map(|it| it.p90)),
            figure(way.summary.map(|it| it.max)),
            figure(way.all_there_ns),
        ]);
    }
    let mut lines = vec![finish(&table)];
    for way in &concurrency.ways {
        if let Some(why) = why(&way.ended) {
            let line = format!(" {} was not there as a whole: {why}", way.contender);
            lines.push(paragraph::fill(&line, width));
        }
    }
    lines.join("\n")
}

/// Seconds after memory was freed that are told of.
pub(crate) const TOLD_AFTER: [u64; 3] = [0, 5, 30];

fn elasticity(elasticity: &Elasticity, width: u16) -> String {
    let mut table = table(width);
    let after = TOLD_AFTER.map(|seconds| format!("back after {seconds} s"));
    table.set_header(
        ["memory that was freed".to_owned(), "taken".into()]
            .into_iter()
            .chain(after),
    );
    for way in &elasticity.ways {
        let taken = or_none(way.taken_bytes(), size);
        let after = TOLD_AFTER.map(|seconds| right(percent(way.returned_percent(seconds))));
        table.add_row(
            [Cell::new(way.contender), right(taken)]
                .into_iter()
                .chain(after),
        );
    }
    let mut lines = vec![finish(&table)];
    for way in &elasticity.ways {
        if let Some(why) = why(&way.ended) {
            let line = format!(" {} was not followed to the end: {why}", way.contender);
            lines.push(paragraph::fill(&line, width));
        }
    }
    lines.join("\n")
}

pub(crate) fn percent(share: Option<f64>) -> String {
    or_none(share, |share| format!("{share:.0} %"))
}

/// How much was back when, in words.
pub(crate) fn returned(way: &ElasticityOfWay) -> String {
    let taken = or_none(way.taken_bytes(), size);
    let after = TOLD_AFTER.map(|seconds| {
        let share = percent(way.returned_percent(seconds));
        format!("{share} back after {seconds} s")
    });
    format!("of {taken} {}", after.join(", "))
}
