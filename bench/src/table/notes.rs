//! What must be known to read a comparison, a sentence each.

use vmm::ring0::Ring0;

use super::visible;
use crate::{
    Comparison, Contender, FootprintMoment, FootprintReading, OtherReport, Outcome, Pair, Series,
    Way, WayReport,
};

/// What figures of VMs say of the host that they were measured on, and not of VMs.
pub(crate) fn is_about_this_host(comparison: &Comparison) -> Option<&'static str> {
    let ring0 = comparison.environment.guest_ring0.as_ref();
    matches!(ring0, Some(Ring0::Emulated { .. })).then_some(
        "this host emulates the guest's kernel mode, some thousand times slower than \
         hardware runs it: the time that vm cold takes to boot, most of what vm warm takes after \
         its restore, and what a guest's kernel does for its command, are facts about this host, \
         not about VMs; memory, disk and plain computing are as elsewhere",
    )
}

/// What must be known to read the figures.
pub(crate) fn notes(comparison: &Comparison) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(is_about_this_host(comparison).map(str::to_owned));
    notes.extend(
        comparison
            .others
            .iter()
            .filter_map(|it| of_other(it, comparison)),
    );
    notes.extend(comparison.environment.floors.unknown.iter().map(|it| {
        format!(
            "what the kernel takes at least is not known of {}",
            visible(it)
        )
    }));
    let has_no_metric = |series: &Series| series.metrics.is_empty();
    if comparison.series.as_ref().is_some_and(has_no_metric) && comparison.figures.is_empty() {
        notes.push("there are no figures: the command reports none of itself".into());
    }
    notes.extend(unlike(comparison));
    let reports = comparison.ways.as_ref().into_array();
    let ended_early: Vec<_> = reports
        .iter()
        .filter(|report| {
            matches!(
                report.footprint,
                FootprintReading::Taken {
                    moment: FootprintMoment::AfterExit,
                    ..
                }
            )
        })
        .map(|report| report.way.to_string())
        .collect();
    if let Some((last, others)) = ended_early.split_last() {
        let others = match others {
            [] => String::new(),
            others => format!("{} and ", others.join(", ")),
        };
        notes.push(format!(
            "{others}{last} ended within 2 s of main: only the peak of the memory is known"
        ));
    }
    for WayReport {
        way,
        outcome,
        footprint,
        ..
    } in reports
    {
        match (outcome, footprint) {
            (Outcome::Failed { error, remedy }, _) => notes.push(format!(
                "{way} failed: {}",
                visible(&match remedy {
                    Some(remedy) => format!("{error}; {remedy}"),
                    None => error.clone(),
                })
            )),
            (Outcome::Ended { .. } | Outcome::Ready, FootprintReading::Unavailable { reason }) => {
                notes.push(format!("{way}'s memory is not known: {}", visible(reason)));
            }
            (Outcome::Ended { .. } | Outcome::Ready, FootprintReading::Taken { .. }) => {}
        }
    }
    notes
}

/// What keeps the ways from being compared: that they did not do the same.
fn unlike(comparison: &Comparison) -> Vec<String> {
    let mut notes = Vec::new();
    let first = comparison.ways.first_that_ran();
    for report in comparison.ways.as_ref().into_array() {
        if let Some(first) = first
            && let (Some(ended), Some(of_first)) =
                (report.outcome.exit_code(), first.outcome.exit_code())
            && ended != of_first
        {
            notes.push(format!(
                "{} is not timed: it ended with {ended}, {} with {of_first}",
                report.way, first.way
            ));
        }
    }
    let is_timed = comparison.series.is_some();
    let outputs = comparison.stdout_differences.iter();
    let outputs = outputs.filter(|it| is_timed && !it.identical);
    notes.extend(outputs.map(|it| {
        let Pair { first, second } = it.between;
        format!(
            "the standard outputs of {first} and {second} differ: unless they are meant to, as a \
             kernel's release is, their times say nothing"
        )
    }));
    notes
}

/// What is to be said of one beside the three ways.
fn of_other(other: &OtherReport, comparison: &Comparison) -> Option<String> {
    let OtherReport {
        contender,
        outcome,
        is_output_alike,
        complaint,
    } = other;
    let complaint = complaint.as_ref();
    let complaint = complaint.map_or_else(String::new, |it| format!(": {}", visible(it)));
    match (outcome, &comparison.ways.container.outcome) {
        (Outcome::Failed { error, remedy }, _) => {
            let remedy = remedy.as_ref();
            let remedy = remedy.map_or_else(String::new, |it| format!("; {it}"));
            Some(format!(
                "{contender} is not timed: {}{remedy}",
                visible(error)
            ))
        }
        (
            Outcome::Ended { exit_code, .. },
            Outcome::Ended {
                exit_code: of_container,
                ..
            },
        ) if exit_code != of_container => Some(format!(
            "{contender} is not timed: it ended with {exit_code}, the container with \
                 {of_container}{complaint}{}",
            match contender {
                Contender::HostProcess => " (it has no rights unless --against names host)",
                _ => "",
            }
        )),
        (Outcome::Ended { .. } | Outcome::Ready, _) if !is_output_alike => {
            let way = contender.way_of_jaula_run().unwrap_or(Way::Container);
            Some(format!(
                "the standard outputs of {contender} and {way} are not the same"
            ))
        }
        (Outcome::Ended { .. } | Outcome::Ready, _) => None,
    }
}
