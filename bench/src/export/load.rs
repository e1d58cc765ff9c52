//! Many instances at once, as tables.

use super::Measured;
use super::csv::quoted;
use super::markdown::plain;
use crate::load::{Concurrency, Density, Elasticity, Load};
use crate::table::load::{TOLD_AFTER, in_words, percent, why};
use crate::units::{signed_size, size, time};

/// A row for each workload, way and number of instances that were kept running; `None` if nobody asked
/// for that. In bytes and nanoseconds.
pub fn density_csv(all: &[Measured]) -> Option<String> {
    let mut text = String::from(
        "workload,contender,instances,available_bytes,taken_bytes,is_settled,charged_bytes,\
         launch_p50_ns\r\n",
    );
    let mut is_any = false;
    for measured in all {
        for way in measured
            .comparison
            .load
            .density
            .iter()
            .flat_map(|it| &it.ways)
        {
            is_any = true;
            for step in &way.steps {
                let number =
                    |value: Option<u64>| value.map_or_else(String::new, |it| it.to_string());
                let fields = [
                    quoted(&measured.name),
                    way.contender.to_string(),
                    step.instances.to_string(),
                    step.available_bytes.to_string(),
                    way.taken_bytes(step).to_string(),
                    step.is_settled.to_string(),
                    number(step.charged_bytes),
                    number(step.launch_ns.map(|it| it.p50)),
                ];
                text.push_str(&fields.join(","));
                text.push_str("\r\n");
            }
        }
    }
    is_any.then_some(text)
}

/// A row for each instance that was launched at once with others, and was there; `None` if nobody
/// asked for that. In nanoseconds.
pub fn concurrency_csv(all: &[Measured]) -> Option<String> {
    let mut text = String::from("workload,contender,at_once,metric,took_ns\r\n");
    let mut is_any = false;
    for measured in all {
        let Some(concurrency) = &measured.comparison.load.concurrency else {
            continue;
        };
        is_any = true;
        for way in &concurrency.ways {
            for ns in &way.each_ns {
                text.push_str(&format!(
                    "{},{},{},{},{ns}\r\n",
                    quoted(&measured.name),
                    way.contender,
                    concurrency.asked,
                    concurrency.metric.word(),
                ));
            }
        }
    }
    is_any.then_some(text)
}

/// A row for each reading after a command had freed its memory; `None` if nobody asked for that. In
/// bytes and nanoseconds.
pub fn elasticity_csv(all: &[Measured]) -> Option<String> {
    let mut text =
        String::from("workload,contender,at_main_bytes,most_bytes,after_ns,charged_bytes\r\n");
    let mut is_any = false;
    for measured in all {
        for way in measured
            .comparison
            .load
            .elasticity
            .iter()
            .flat_map(|it| &it.ways)
        {
            is_any = true;
            let number = |value: Option<u64>| value.map_or_else(String::new, |it| it.to_string());
            for held in &way.held {
                text.push_str(&format!(
                    "{},{},{},{},{},{}\r\n",
                    quoted(&measured.name),
                    way.contender,
                    number(way.at_main_bytes),
                    number(way.most_bytes),
                    held.after_ns,
                    held.charged_bytes,
                ));
            }
        }
    }
    is_any.then_some(text)
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
                step.launch_ns.map_or_else(|| "-".into(), |it| time(it.p50)),
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
        let figure = |ns: Option<u64>| ns.map_or_else(|| "-".into(), time);
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
        let taken = way.taken_bytes().map_or_else(|| "-".into(), size);
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
