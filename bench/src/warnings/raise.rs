use super::Warning;
use crate::measurand::Measurand;
use crate::statistics::{MARGIN, MIN_PAIRS, theil_sen, whole_median};
use crate::units::{size, three_digits, time};
use crate::{
    Comparison, Contender, FootprintReading, Metric, Peer, Reported, Sample, WayReport, quantile,
};

/// A program that starts another takes about as long as what is to be timed.
const SHELLS: [&str; 9] = [
    "sh", "ash", "bash", "dash", "zsh", "env", "su", "sudo", "doas",
];

/// Nine in ten within one and a half times the median: launches on a quiet machine are.
const QUIET_SPREAD: f64 = 1.5;

/// A load per CPU above this keeps runs waiting.
const QUIET_LOAD: f64 = 0.25;

/// Says why a mistake may have been made, once for each reason.
type Check = fn(&Comparison) -> Vec<String>;

/// Which mistakes the reader of this comparison should think of, in order.
pub(crate) fn raised(comparison: &Comparison) -> Vec<Warning> {
    let checks: [(&str, Check); 16] = [
        ("W01", beginnings),
        ("W03", clocks),
        ("W05", unread_memory),
        ("W06", too_few),
        ("W06", spread),
        ("W06", spread_of_figures),
        ("W07", drift),
        ("W08", first_run),
        ("W09", shell),
        ("W10", lifetime),
        ("W11", disks),
        ("W12", limits),
        ("W13", controls),
        ("W14", host),
        ("W15", boots),
        ("W16", page_cache),
    ];
    let raise = |(id, check): (&str, Check)| {
        let warning = |detail| Warning {
            id: id.to_owned(),
            detail,
        };
        check(comparison)
            .into_iter()
            .map(warning)
            .collect::<Vec<_>>()
    };
    checks.into_iter().flat_map(raise).collect()
}

fn reports(comparison: &Comparison) -> impl Iterator<Item = &WayReport> {
    let reports = comparison.ways.as_ref().into_array().into_iter();
    reports.filter(|report| report.outcome.has_run())
}

/// The timed runs of one contender that succeeded, with what they took by this metric.
fn timed(comparison: &Comparison, contender: Contender, metric: Metric) -> Vec<(&Sample, u64)> {
    let samples = comparison.series.iter().flat_map(|it| it.timed(contender));
    samples
        .filter_map(|sample| Some((sample, metric.of(sample)?)))
        .collect()
}

/// Says something of a contender's times by a metric, of each that has as many as a verdict takes.
fn of_series(
    comparison: &Comparison,
    say: impl Fn(Contender, Metric, &[(&Sample, u64)]) -> Option<String>,
) -> Vec<String> {
    let rows = comparison.results.iter().flat_map(|result| {
        let rows = result.rows.iter();
        rows.map(|row| (row.contender, result.metric))
    });
    rows.filter_map(|(contender, metric)| {
        let samples = timed(comparison, contender, metric);
        (samples.len() >= MIN_PAIRS)
            .then(|| say(contender, metric, &samples))
            .flatten()
    })
    .collect()
}

fn median(samples: &[(&Sample, u64)]) -> Option<f64> {
    let values: Vec<u64> = samples.iter().map(|(_, ns)| *ns).collect();
    whole_median(&values).map(|ns| ns as f64)
}

/// Of each contender the run in the middle, by how far its clock was from the host's, if that is too
/// far. A single line that was late on its way says nothing of a clock.
fn clocks(comparison: &Comparison) -> Vec<String> {
    let checked = reports(comparison).map(|it| (it.way.into(), it.reported.as_ref()));
    let samples = comparison.series.iter().flat_map(|it| &it.samples);
    let timed = samples
        .filter(|sample| !sample.has_failed())
        .map(|sample| (sample.contender, sample.reported.as_ref()));
    let all = checked.chain(timed);
    let all = by_contender(all.filter_map(|(contender, reported)| Some((contender, reported?))));
    let say = |(contender, mut runs): (Contender, Vec<&Reported>)| {
        runs.sort_unstable_by(|a, b| a.pace().total_cmp(&b.pace()));
        let middle = *runs.get(runs.len() / 2)?;
        (!middle.agrees_with_host()).then(|| {
            format!(
                "what {contender} reports is by a clock that says {} where the host's says {}: don't \
                 rely on its figures",
                time(middle.took_ns),
                time(middle.host_ns)
            )
        })
    };
    all.into_iter().filter_map(say).collect()
}

fn disks(comparison: &Comparison) -> Vec<String> {
    match comparison.has_figures_of_files() {
        true => vec![
            "what is read is in the host's memory, and what is written stays there unless it is \
             synced to a file of the host's: these are no speeds of a disk"
                .into(),
        ],
        false => Vec::new(),
    }
}

fn unread_memory(comparison: &Comparison) -> Vec<String> {
    reports(comparison)
        .filter(|report| matches!(report.footprint, FootprintReading::Unavailable { .. }))
        .map(|report| {
            format!(
                "{} has no memory figures: no cgroup of its own holds all that it needs",
                report.way
            )
        })
        .collect()
}

fn too_few(comparison: &Comparison) -> Vec<String> {
    let timed = comparison.results.iter().flat_map(|it| &it.rows);
    let reported = comparison.figures.iter().flat_map(|it| &it.rows);
    let reported = reported.flat_map(|row| std::iter::once(&row.of_runs).chain(&row.cpu));
    let rows = timed.chain(reported);
    let pairs =
        rows.filter_map(|row| Some((row.contender, row.against.as_ref()?.comparison.pairs)));
    match pairs.min_by_key(|(_, pairs)| *pairs) {
        Some((contender, pairs)) if pairs < MIN_PAIRS => vec![format!(
            "a verdict takes {MIN_PAIRS} rounds, and {contender} had {pairs}: give more --runs or \
             --budget-time"
        )],
        _ => Vec::new(),
    }
}

fn spread(comparison: &Comparison) -> Vec<String> {
    of_series(comparison, |contender, metric, samples| {
        let values: Vec<u64> = samples.iter().map(|(_, ns)| *ns).collect();
        let p90 = quantile(&values, 0.9)? as f64;
        // Of what mostly takes nothing there is no such ratio.
        let ratio = p90 / median(samples).filter(|it| *it > 0.0)?;
        (ratio > QUIET_SPREAD).then(|| {
            format!(
                "{metric} of {contender} is noisy: p90 is {} times the median",
                three_digits(ratio)
            )
        })
    })
}

/// The figures of each contender in one line: there are many.
fn spread_of_figures(comparison: &Comparison) -> Vec<String> {
    let mut noisy = Vec::new();
    for result in &comparison.figures {
        for row in &result.rows {
            let Some(summary) = row.of_runs.summary else {
                continue;
            };
            let is_noisy = summary.p90 as f64 > QUIET_SPREAD * summary.p50 as f64;
            if summary.count < MIN_PAIRS || !is_noisy {
                continue;
            }
            let contender = row.of_runs.contender;
            noisy.push((contender, result.figure.as_str()));
        }
    }
    let say = |(contender, names): (Contender, Vec<&str>)| {
        format!(
            "what {contender} reports differs much from run to run: {}",
            names.join(", ")
        )
    };
    by_contender(noisy.into_iter())
        .into_iter()
        .map(say)
        .collect()
}

/// What there is of each, in the order in which they come.
fn by_contender<T>(all: impl Iterator<Item = (Contender, T)>) -> Vec<(Contender, Vec<T>)> {
    let mut groups: Vec<(Contender, Vec<T>)> = Vec::new();
    for (contender, one) in all {
        match groups.iter_mut().find(|(other, _)| *other == contender) {
            Some((_, of_it)) => of_it.push(one),
            None => groups.push((contender, vec![one])),
        }
    }
    groups
}

/// As many runs show whether there is a drift; a slope looks at each two.
const MAX_POINTS: usize = 1_000;

fn drift(comparison: &Comparison) -> Vec<String> {
    of_series(comparison, |contender, metric, samples| {
        let (first, last) = (samples.first()?.0.order, samples.last()?.0.order);
        let points: Vec<_> = samples
            .iter()
            .step_by(samples.len().div_ceil(MAX_POINTS))
            .map(|(sample, ns)| (sample.order as f64, *ns as f64))
            .collect();
        let slope = theil_sen::slope(&points)?;
        let change = slope.slope * (last - first) as f64;
        let counts = change.abs() > MARGIN * median(samples)?;
        (counts && slope.interval.excludes_zero()).then(|| {
            let measurand = metric.measurand();
            let way = match (measurand, change > 0.0) {
                (Measurand::Duration, true) => "longer",
                (Measurand::Duration, false) => "shorter",
                (_, true) => "more",
                (_, false) => "less",
            };
            format!(
                "{metric} of {contender} got {} {way} from the first round to the last",
                measurand.amount(change.abs() as u64)
            )
        })
    })
}

fn first_run(comparison: &Comparison) -> Vec<String> {
    let is_warmed_up = comparison
        .series
        .iter()
        .flat_map(|series| &series.samples)
        .any(|sample| sample.is_warm_up);
    if is_warmed_up {
        return Vec::new();
    }
    of_series(comparison, |contender, metric, samples| {
        let (_, first) = samples.first()?;
        let (_, most_of_others) = samples[1..].iter().max_by_key(|(_, ns)| ns)?;
        let is_cold = *first as f64 > QUIET_SPREAD * *most_of_others as f64;
        is_cold.then(|| {
            format!(
                "{metric} of {contender} was most in its first run, by far: warm up with --warmup"
            )
        })
    })
}

fn shell(comparison: &Comparison) -> Vec<String> {
    let program = comparison.workload.argv.first();
    let name = program.and_then(|it| it.rsplit('/').next());
    // Launch to main ends before it starts.
    let is_timed = |metric: &Metric| matches!(metric, Metric::Ready | Metric::Exit | Metric::Cpu);
    let timed = comparison.series.iter().flat_map(|it| &it.metrics);
    match name.filter(|name| SHELLS.contains(name)) {
        Some(name) if timed.into_iter().any(is_timed) => {
            vec![format!(
                "{name} starts what is timed, and its own start is in the time"
            )]
        }
        _ => Vec::new(),
    }
}

fn lifetime(comparison: &Comparison) -> Vec<String> {
    // Where nobody is told of that time, nobody can take it for a start's.
    if !comparison
        .results
        .iter()
        .any(|it| it.metric == Metric::Exit)
    {
        return Vec::new();
    }
    let samples = timed(comparison, Contender::Container, Metric::Exit);
    let of_command: Vec<u64> = samples
        .iter()
        .filter_map(|(sample, exit)| Some(exit.saturating_sub(sample.launch_to_main_ns?)))
        .collect();
    let (Some(whole), Some(command)) = (median(&samples), whole_median(&of_command)) else {
        return Vec::new();
    };
    if command as f64 <= whole / 2.0 {
        return Vec::new();
    }
    vec![format!(
        "most of container's launch to exit, {}, is the command's own: launch to main is what \
         starting takes",
        time(command)
    )]
}

fn limits(comparison: &Comparison) -> Vec<String> {
    let workload = &comparison.workload;
    let mut warnings = Vec::new();
    if workload.memory_limit_bytes.is_none() {
        warnings.push(
            "no memory limit: a container may use the host's, a guest has 128 MiB; give --memory"
                .into(),
        );
    }
    let cpus = comparison.environment.cpus;
    if workload.cpu_limit_milli_cpus.is_none() && cpus > 1 {
        warnings.push(format!(
            "no CPU limit: a container may use {cpus} CPUs, a guest has one; give --cpus"
        ));
    }
    warnings
}

/// Those that were timed.
fn contenders(comparison: &Comparison) -> Vec<Contender> {
    let mut contenders = Vec::new();
    for sample in comparison.series.iter().flat_map(|it| &it.samples) {
        if !contenders.contains(&sample.contender) {
            contenders.push(sample.contender);
        }
    }
    contenders
}

fn beginnings(comparison: &Comparison) -> Vec<String> {
    let contenders = contenders(comparison);
    let is_runner = |it: &Contender| it.is_whole_process() && *it != Contender::Qemu;
    let mut warnings = Vec::new();
    if contenders.iter().any(is_runner) {
        warnings.push(
            "jaula run and other runners are timed from the execution of their program, the rest \
             from the entry of launch(): hold each against its own kind, and jaula run against its \
             own way for what the program takes"
                .into(),
        );
    }
    if contenders.contains(&Contender::Qemu) {
        warnings.push(
            "qemu is timed from the execution of its program, and vm cold from the entry of \
             launch(), which makes a directory and a cgroup before it executes the monitor"
                .into(),
        );
    }
    warnings
}

fn controls(comparison: &Comparison) -> Vec<String> {
    let workload = &comparison.workload;
    let limits = [
        (workload.memory_limit_bytes.is_some(), "memory"),
        (workload.cpu_limit_milli_cpus.is_some(), "CPUs"),
        (workload.pids_limit.is_some(), "processes"),
    ];
    let limits = limits.into_iter().filter(|it| it.0).map(|it| it.1);
    let limits: Vec<_> = limits.collect();
    let limits = (!limits.is_empty()).then(|| limits.join(" and "));
    let without = |contender| without(contender, limits.as_deref());
    let contenders = contenders(comparison).into_iter();
    contenders.filter_map(without).collect()
}

/// What one lacks that ours have, if there are these limits.
fn without(contender: Contender, limits: Option<&str>) -> Option<String> {
    match (contender, limits) {
        // What a process can be held to depends on whether it runs as the workload's user.
        (Contender::HostProcess, Some(limits)) => Some(format!(
            "{contender} has no cgroup that would limit {limits}: at most each process's \
             addresses and the number of its user's processes are, and what setting limits \
             takes is not in its time"
        )),
        (Contender::Peer(Peer::Bwrap), Some(limits)) => Some(format!(
            "{contender} has no limit of {limits}: what setting one takes is not in its time"
        )),
        // Whatever the limits: in its guest are those of memory and processes, as in ours.
        (Contender::Qemu, _) => Some(format!(
            "{contender} has no cgroup, no jail and no filter of system calls, which vm cold \
             has: what making them takes is not in its time"
        )),
        _ => None,
    }
}

fn host(comparison: &Comparison) -> Vec<String> {
    let environment = &comparison.environment;
    let mut warnings = Vec::new();
    if environment.host.is_virtual_machine {
        warnings.push("this host is itself a virtual machine: so VMs on it are nested".into());
    }
    if let Some(load_milli) = environment.host.load_milli {
        let load = f64::from(load_milli) / 1000.0;
        if load > QUIET_LOAD * environment.cpus as f64 {
            warnings.push(format!(
                "the host was busy before: a load of {load:.2} on {} CPUs",
                environment.cpus
            ));
        }
    }
    warnings
}

fn boots(comparison: &Comparison) -> Vec<String> {
    let has_booted = |sample: &Sample| sample.spans.iter().any(|it| it.name == "kernel boot");
    let samples = comparison.series.iter().flat_map(|it| &it.samples);
    let wrong = samples
        .filter(|sample| !sample.has_failed())
        .filter(|sample| match sample.contender {
            Contender::VmWarm => has_booted(sample),
            Contender::VmCold => !has_booted(sample),
            _ => false,
        })
        .count();
    match wrong {
        0 => Vec::new(),
        runs => vec![format!(
            "{runs} runs of a VM are in the wrong column: a warm one booted, or a cold one did not"
        )],
    }
}

fn page_cache(comparison: &Comparison) -> Vec<String> {
    reports(comparison)
        .filter_map(|report| Some((report.way, report.footprint.settled()?)))
        .filter(|(_, footprint)| footprint.file_bytes > footprint.unreclaimable_bytes() / 2)
        .map(|(way, footprint)| {
            format!(
                "{way} is charged {} of page cache, which the next one may share: compare what is \
                 unreclaimable",
                size(footprint.file_bytes)
            )
        })
        .collect()
}
