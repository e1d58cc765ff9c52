use std::time::Duration;

use launch::fake::{FakeLauncher, workload};
use launch::{ExitStatus, NoProgress};

use super::raised;
use crate::load::LoadPlan;
use crate::{
    Comparison, Contender, Environment, FigureResult, FigureRow, FootprintReading, Interrupt,
    Metric, Plan, Reported, SeriesPlan, Ways, compare,
};

fn fake(spans: [(&'static str, u64); 1]) -> FakeLauncher {
    FakeLauncher::exiting(ExitStatus::Exited(0)).spans(spans)
}

/// A comparison that has nothing to warn of.
fn faultless() -> Comparison {
    let plan = Plan {
        launchers: Ways {
            container: &fake([("exec", 5_000_000)]),
            vm_cold: &fake([("kernel boot", 90_000_000)]),
            vm_warm: &fake([("restore", 9_000_000)]),
        },
        workload: &workload(),
        stdin: None,
        others: Vec::new(),
        environment: Environment::of_this_host(None),
        series: SeriesPlan {
            runs: 8,
            warm_up: 0,
            budget: Duration::from_secs(600),
            metrics: vec![Metric::Main, Metric::Exit],
            figures: false,
            readiness: None,
            goes_on: false,
            seed: 1,
        },
        load: LoadPlan::default(),
    };
    let mut comparison = compare(plan, &NoProgress, &Interrupt::default()).unwrap();
    comparison.workload.memory_limit_bytes = Some(128 << 20);
    comparison.workload.cpu_limit_milli_cpus = Some(1000);
    comparison.environment.host = Default::default();
    comparison
}

/// Changes what the nth timed run of the container took to main.
fn container_took(comparison: &mut Comparison, ns: impl Fn(usize) -> u64) {
    let samples = comparison.series.iter_mut().flat_map(|it| &mut it.samples);
    let of_container = samples.filter(|it| it.contender == Contender::Container);
    for (index, sample) in of_container.enumerate() {
        sample.launch_to_main_ns = Some(ns(index));
    }
}

fn reported(took_ns: u64, host_ns: u64) -> Reported {
    Reported {
        figures: Vec::new(),
        took_ns,
        host_ns,
    }
}

/// What is done to a faultless comparison, and what it is then warned of.
type Fault = (&'static str, fn(&mut Comparison));

const FAULTS: [Fault; 20] = [
    ("", |_| ()),
    ("W03", |it| {
        for sample in &mut it.series.as_mut().unwrap().samples {
            sample.reported = Some(match sample.contender {
                Contender::VmWarm => reported(1000, 880),
                _ => reported(1000, 950),
            });
        }
    }),
    ("", |it| {
        for sample in &mut it.series.as_mut().unwrap().samples {
            sample.reported = Some(reported(1000, if sample.round == 0 { 500 } else { 950 }));
        }
    }),
    ("", |it| {
        for sample in &mut it.series.as_mut().unwrap().samples {
            sample.reported = Some(reported(0, 0));
        }
    }),
    ("W11", |it| {
        it.figures = vec![FigureResult {
            figure: "read-4k-first".into(),
            rows: Vec::new(),
        }];
    }),
    ("W06", |it| {
        let mut result = FigureResult {
            figure: "getppid".into(),
            rows: vec![FigureRow {
                of_runs: it.results[0].rows[0].clone(),
                p99_ns: None,
                quantiles_ns: Vec::new(),
                cpu: None,
            }],
        };
        let summary = result.rows[0].of_runs.summary.as_mut().unwrap();
        summary.p90 = 2 * summary.p50;
        it.figures = vec![result];
    }),
    ("W05", |it| {
        it.ways.container.footprint = FootprintReading::Unavailable { reason: "x".into() };
    }),
    ("W06", |it| {
        let against = it.results[0].rows[1].against.as_mut().unwrap();
        against.comparison.pairs = 5;
    }),
    ("W06", |it| {
        container_took(it, |index| if index == 4 { 90_000_000 } else { 3_000_000 });
    }),
    ("W07", |it| {
        container_took(it, |index| 3_000_000 + 50_000 * index as u64);
    }),
    ("W06 W08", |it| {
        container_took(it, |index| if index == 0 { 9_000_000 } else { 3_000_000 });
    }),
    ("W09", |it| it.workload.argv = vec!["/bin/sh".into()]),
    ("", |it| {
        it.workload.argv = vec!["/bin/sh".into()];
        it.series.as_mut().unwrap().metrics = vec![Metric::Main];
    }),
    ("W10", |it| container_took(it, |_| 1_000_000)),
    ("", |it| {
        container_took(it, |_| 1_000_000);
        it.results.retain(|result| result.metric == Metric::Main);
    }),
    ("W12", |it| it.workload.memory_limit_bytes = None),
    ("W12", |it| {
        it.environment.cpus = 2;
        it.workload.cpu_limit_milli_cpus = None;
    }),
    ("W14", |it| it.environment.host.is_virtual_machine = true),
    ("W14", |it| {
        it.environment.cpus = 2;
        it.environment.host.load_milli = Some(600);
    }),
    ("W15", |it| {
        for sample in &mut it.series.as_mut().unwrap().samples {
            sample.spans.retain(|span| span.name != "kernel boot");
        }
    }),
];

#[test]
fn each_mistake_is_warned_of_where_it_may_be_made_and_nowhere_else() {
    for (index, (expected, make)) in FAULTS.into_iter().enumerate() {
        let mut comparison = faultless();
        make(&mut comparison);
        let warnings = raised(&comparison);
        let ids: Vec<_> = warnings.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(ids.join(" "), expected, "{index}: {warnings:?}");
    }
}
