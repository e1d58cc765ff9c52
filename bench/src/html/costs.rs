//! What each way costs beside the time of its start, and why.

use maud::{Markup, html};

use super::named;
use crate::load::{DensityOfWay, ElasticityOfWay};
use crate::statistics::Verdict;
use crate::table::load::percent;
use crate::units::{signed_three_digits, size, three_digits};
use crate::{Comparison, Contender, FootprintMoment, FootprintReading, Metric, WayReport};

/// How long after it was freed memory is looked at here, in seconds: the longest that it is followed.
pub(super) const AT_LAST_S: u64 = 30;

/// A workload's name, which is empty where there is no other, and what was found.
pub(super) type Found<'a> = (&'a str, &'a Comparison);

/// What is told of each contender.
type Amounts = Vec<(Contender, String)>;

struct Cost<'a> {
    what: String,
    why: &'static str,
    /// The workload that showed it, if it was one alone.
    workload: &'a str,
    amounts: Amounts,
}

/// Nothing if none of it was measured.
pub(super) fn section(all: &[Found<'_>]) -> Markup {
    let costs: Vec<_> = [
        memory(all),
        one_more(all),
        given_back(all),
        idle(all),
        operations(all),
    ]
    .into_iter()
    .flatten()
    .collect();
    html! {
        @if !costs.is_empty() {
            h3 { "What it costs beside that" }
            dl { @for cost in &costs {
                dt {
                    (cost.what)
                    @if !cost.workload.is_empty() { " (" (cost.workload) ")" }
                }
                dd {
                    @for (index, (contender, amount)) in cost.amounts.iter().enumerate() {
                        @if index > 0 { ", " }
                        (named(*contender)) " " (amount)
                    }
                    br; small { (cost.why) }
                }
            } }
        }
    }
}

fn memory<'a>(all: &[Found<'a>]) -> Option<Cost<'a>> {
    let (workload, amounts) =
        first(all, |it| medians(it, Metric::Memory)).or_else(|| first(all, footprints))?;
    Some(Cost {
        what: "memory of one that the host can't take back".into(),
        why: "A VM has a kernel of its own and a process that serves it; a container has the host's kernel.",
        workload,
        amounts,
    })
}

fn one_more<'a>(all: &[Found<'a>]) -> Option<Cost<'a>> {
    let amount = |way: &DensityOfWay| {
        let mib = signed_three_digits(way.per_instance?.mib);
        Some((way.contender, format!("{mib} MiB")))
    };
    let (workload, amounts) = first(all, |it| {
        let ways = it.load.density.iter().flat_map(|it| &it.ways);
        ways.filter_map(amount).collect()
    })?;
    Some(Cost {
        what: "memory of the host for each further one".into(),
        why: "Files in the host's cache are there once for all, and so is what VMs were restored from until they write to it.",
        workload,
        amounts,
    })
}

fn given_back<'a>(all: &[Found<'a>]) -> Option<Cost<'a>> {
    let amount = |way: &ElasticityOfWay| {
        let share = way.returned_percent(AT_LAST_S)?;
        Some((way.contender, percent(Some(share))))
    };
    let (workload, amounts) = first(all, |it| {
        let ways = it.load.elasticity.iter().flat_map(|it| &it.ways);
        ways.filter_map(amount).collect()
    })?;
    Some(Cost {
        what: format!("freed memory that the host has again after {AT_LAST_S} s"),
        why: "What a container's command frees is the host's at once; a guest's kernel has to report it first.",
        workload,
        amounts,
    })
}

fn idle<'a>(all: &[Found<'a>]) -> Option<Cost<'a>> {
    let (workload, amounts) = first(all, |it| medians(it, Metric::Idle))?;
    Some(Cost {
        what: "processor time a minute while the command waits".into(),
        why: "A guest's kernel has work of its own to do, such as keeping time.",
        workload,
        amounts,
    })
}

/// Which operations are least and most dear in a VM, of all that workloads report.
fn operations<'a>(all: &[Found<'a>]) -> Option<Cost<'a>> {
    let contenders = [Contender::VmCold, Contender::VmWarm].into_iter();
    let amounts: Amounts = contenders
        .filter_map(|contender| Some((contender, extremes(all, contender)?)))
        .collect();
    (!amounts.is_empty()).then_some(Cost {
        what: "a command's single operations".into(),
        why: "What a program computes runs on the processor either way; what it asks of a kernel, the guest's own does.",
        workload: "",
        amounts,
    })
}

fn extremes(all: &[Found<'_>], contender: Contender) -> Option<String> {
    let figures = all.iter().flat_map(|(_, it)| &it.figures);
    let mut ratios: Vec<(f64, &str)> = figures
        .filter_map(|figure| {
            let mut rows = figure.rows.iter();
            let row = rows.find(|it| it.of_runs.contender == contender)?;
            let comparison = &row.of_runs.against.as_ref()?.comparison;
            let is_enough = comparison.verdict != Verdict::TooFewPairs;
            Some((comparison.ratio.filter(|_| is_enough)?, &*figure.figure))
        })
        .collect();
    ratios.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let ((least, quick), (most, slow)) = (ratios.first()?, ratios.last()?);
    Some(format!(
        "{} times the container's ({quick}) to {} times ({slow})",
        three_digits(*least),
        three_digits(*most)
    ))
}

fn medians(comparison: &Comparison, metric: Metric) -> Amounts {
    let results = comparison.results.iter();
    let rows = results
        .filter(|it| it.metric == metric)
        .flat_map(|it| &it.rows);
    let amount = |p50| metric.measurand().amount(p50);
    rows.filter_map(|row| Some((row.contender, amount(row.summary?.p50))))
        .collect()
}

fn footprints(comparison: &Comparison) -> Amounts {
    let amount = |report: &WayReport| match report.footprint {
        FootprintReading::Taken {
            moment: FootprintMoment::TwoSecondsAfterMain,
            footprint,
            ..
        } => Some((report.way.into(), size(footprint.unreclaimable_bytes()))),
        _ => None,
    };
    let reports = comparison.ways.as_ref().into_array().into_iter();
    reports.filter_map(amount).collect()
}

/// What the first tells of it that does.
fn first<'a>(
    all: &[Found<'a>],
    told: impl Fn(&Comparison) -> Amounts,
) -> Option<(&'a str, Amounts)> {
    let mut found = all
        .iter()
        .map(|(workload, comparison)| (*workload, told(comparison)));
    found.find(|(_, amounts)| !amounts.is_empty())
}
