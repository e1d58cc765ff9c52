use std::cell::RefCell;

use launch::fake::{FakeLauncher, workload};
use launch::{ExitStatus, NoProgress, Prepared, Side};

use super::*;
use crate::statistics::Verdict;
use crate::{FigureResult, FootprintMoment, FootprintReading, Metric, Pair};

fn plan<'a>(launchers: Ways<&'a dyn Launcher>, workload: &'a Workload) -> Plan<'a> {
    Plan {
        launchers,
        workload,
        stdin: None,
        environment: Environment::of_this_host(None),
        others: Vec::new(),
        series: series_plan(8),
        load: LoadPlan::default(),
    }
}

fn series_plan(runs: usize) -> SeriesPlan {
    SeriesPlan {
        runs,
        warm_up: 0,
        budget: Duration::from_secs(600),
        metrics: vec![Metric::Main, Metric::Exit],
        figures: false,
        readiness: None,
        goes_on: false,
        seed: 1,
    }
}

fn compared(launchers: Ways<&dyn Launcher>) -> Result<Comparison, Error> {
    let workload = workload();
    let plan = plan(launchers, &workload);
    compare(plan, &NoProgress, &Interrupt::default())
}

fn run(container: &FakeLauncher, vm_cold: &FakeLauncher, vm_warm: &FakeLauncher) -> Comparison {
    compared(Ways {
        container,
        vm_cold,
        vm_warm,
    })
    .unwrap()
}

fn exiting(code: u8) -> FakeLauncher {
    FakeLauncher::exiting(ExitStatus::Exited(code))
}

fn saying(text: &str) -> FakeLauncher {
    exiting(0).stdout(text)
}

/// Prepares nothing, and remembers that it was asked to.
struct Unable<'a> {
    name: &'static str,
    asked: &'a RefCell<Vec<&'static str>>,
}

impl Launcher for Unable<'_> {
    fn surface(&self, _workload: &Workload) -> Result<launch::Surface, launch::Error> {
        Err(launch::Error::new("nothing to be reached"))
    }

    fn side(&self) -> Side {
        Side::Vm
    }

    fn probe(&self) -> Vec<launch::Finding> {
        Vec::new()
    }

    fn prepare(
        &self,
        _workload: &Workload,
        _progress: &dyn Progress,
    ) -> Result<Box<dyn Prepared>, launch::Error> {
        self.asked.borrow_mut().push(self.name);
        Err(launch::Error::new(format!("no {}", self.name)).with_remedy("make one"))
    }
}

#[test]
fn each_way_is_reported_with_its_own_figures() {
    let comparison = run(
        &exiting(0).spans([("mounts", 2_000), ("exec", 3_000)]),
        &exiting(7).on(Side::Vm).spans([("kernel boot", 9_000)]),
        &exiting(8).on(Side::Vm).spans([("restore", 4_000)]),
    );
    let Ways {
        container,
        vm_cold,
        vm_warm,
    } = comparison.ways;
    assert_eq!(container.way, Way::Container);
    assert_eq!(container.launch_to_main_ns, Some(5_000));
    assert_eq!(container.launch_to_exit_ns, Some(1_005_000));
    assert_eq!(vm_cold.way, Way::VmCold);
    assert_eq!(vm_cold.launch_to_main_ns, Some(9_000));
    assert_eq!(
        vm_cold.outcome,
        Outcome::Ended {
            status: ExitStatus::Exited(7),
            exit_code: 7
        }
    );
    assert_eq!(vm_warm.way, Way::VmWarm);
    assert_eq!(vm_warm.launch_to_main_ns, Some(4_000));
}

#[test]
fn outputs_are_captured_and_compared_stream_by_stream() {
    let comparison = run(
        &saying("6.18\nsame\n").stderr("oops\n"),
        &saying("6.12\nsame\n").stderr("oops\n"),
        &saying("6.12\nsame\n").stderr("oops\n"),
    );
    assert_eq!(comparison.ways.container.stdout.text, "6.18\nsame\n");
    let [kernel, none] = &comparison.stdout_differences[..] else {
        panic!("{:?}", comparison.stdout_differences);
    };
    assert_eq!((kernel.hunks.len(), kernel.equal_lines), (1, 1));
    assert!(none.identical);
    assert!(comparison.stderr_differences.iter().all(|it| it.identical));
}

#[test]
fn the_container_is_held_against_a_vm_and_the_vms_against_each_other() {
    let failing = FakeLauncher::failing("x").stdout("half a line");
    let said = saying("a\n");
    let (first, second) = (Way::Container, Way::VmCold);
    for (ways, expected) in [
        (
            [&said, &said, &said],
            &[
                Pair { first, second },
                Pair {
                    first: Way::VmCold,
                    second: Way::VmWarm,
                },
            ][..],
        ),
        (
            [&said, &failing, &said],
            &[Pair {
                first,
                second: Way::VmWarm,
            }],
        ),
        ([&said, &said, &failing], &[Pair { first, second }]),
        ([&said, &failing, &failing], &[]),
    ] {
        let [container, vm_cold, vm_warm] = ways;
        let differences = run(container, vm_cold, vm_warm).stdout_differences;
        let pairs: Vec<_> = differences.iter().map(|it| it.between).collect();
        assert_eq!(pairs, expected);
    }
}

fn reporting(getppid_ns: u64) -> FakeLauncher {
    saying(&format!(
        "jaula-figures 1\ngetppid values=300 batch=64 p50_ns={getppid_ns} p99_ns=9999999\n\
         clock-read values=5 batch=1 p50_ns=23\nend took_ns=1000000000\n"
    ))
}

#[test]
fn what_a_workload_reports_is_compared_figure_by_figure_and_differs_in_no_output() {
    let comparison = run(&reporting(80), &reporting(90_000), &reporting(80));
    assert!(comparison.stdout_differences.iter().all(|it| it.identical));
    let [getppid, clock] = &comparison.figures[..] else {
        panic!("{:?}", comparison.figures);
    };
    assert_eq!(
        (getppid.figure.as_str(), clock.figure.as_str()),
        ("getppid", "clock-read")
    );
    let verdicts = |result: &FigureResult| {
        let against = result
            .rows
            .iter()
            .filter_map(|row| row.of_runs.against.as_ref());
        against.map(|it| it.comparison.verdict).collect::<Vec<_>>()
    };
    assert_eq!(verdicts(getppid), [Verdict::Slower, Verdict::Equivalent]);
    assert_eq!(verdicts(clock), [Verdict::Equivalent, Verdict::Equivalent]);
    assert_eq!(getppid.rows[1].p99_ns, Some(9_999_999));
    assert_eq!(clock.rows[1].p99_ns, None);
    assert_eq!(getppid.rows[1].of_runs.summary.unwrap().p50, 90_000);
    // All of it came at once, where it says that it took a while.
    assert!(comparison.warnings.iter().any(|it| it.id == "W03"));
}

#[test]
fn figures_of_other_names_are_another_output() {
    let other = saying("jaula-figures 1\ngetpid values=1 batch=1 p50_ns=1\nend took_ns=1\n");
    let comparison = run(&reporting(80), &other, &reporting(80));
    assert!(comparison.stdout_differences.iter().all(|it| !it.identical));
}

#[test]
fn one_whose_report_cant_be_read_has_failed() {
    let comparison = run(
        &reporting(80),
        &saying("jaula-figures 1\nx\n"),
        &reporting(80),
    );
    let Outcome::Failed { error, .. } = comparison.ways.vm_cold.outcome else {
        panic!("{:?}", comparison.ways.vm_cold.outcome);
    };
    assert_eq!(
        error,
        "the figures that it reports can't be read: line 2: values is no number"
    );
    let getppid = &comparison.figures[0];
    let contenders: Vec<_> = getppid.rows.iter().map(|it| it.of_runs.contender).collect();
    assert_eq!(contenders, [Contender::Container, Contender::VmWarm]);
}

#[test]
fn a_report_of_one_that_ends_badly_is_no_report() {
    let comparison = run(
        &reporting(80),
        &exiting(3).stdout("jaula-figures 1\n"),
        &reporting(80),
    );
    assert_eq!(comparison.ways.vm_cold.outcome.exit_code(), Some(3));
    assert_eq!(comparison.ways.vm_cold.reported, None);
}

#[test]
fn a_footprint_of_an_ended_instance_says_so() {
    let comparison = run(&exiting(0), &exiting(0), &exiting(0));
    assert!(matches!(
        comparison.ways.vm_cold.footprint,
        FootprintReading::Taken {
            moment: FootprintMoment::AfterExit,
            ..
        }
    ));
}

#[test]
fn a_way_that_fails_is_reported_beside_those_that_do_not() {
    let panicking = FakeLauncher::failing("the guest panicked");
    let comparison = run(&exiting(0), &panicking, &exiting(0));
    assert_eq!(
        comparison.ways.vm_cold.outcome,
        Outcome::Failed {
            error: "the guest panicked".into(),
            remedy: None
        }
    );
    for report in [comparison.ways.container, comparison.ways.vm_warm] {
        assert!(matches!(report.outcome, Outcome::Ended { .. }));
    }
}

#[test]
fn a_way_that_cant_be_prepared_is_reported_as_failed() {
    let asked = RefCell::default();
    let comparison = compared(Ways {
        container: &exiting(0),
        vm_cold: &exiting(0),
        vm_warm: &Unable {
            name: "template",
            asked: &asked,
        },
    })
    .unwrap();
    let vm_warm = comparison.ways.vm_warm;
    assert_eq!(vm_warm.way, Way::VmWarm);
    assert_eq!(
        vm_warm.outcome,
        Outcome::Failed {
            error: "no template".into(),
            remedy: Some("make one".into())
        }
    );
}

#[test]
fn when_no_way_can_be_prepared_there_is_no_comparison() {
    let asked = RefCell::default();
    let unable = |name| Unable {
        name,
        asked: &asked,
    };
    let error = compared(Ways {
        container: &unable("memory"),
        vm_cold: &unable("kvm"),
        vm_warm: &unable("template"),
    })
    .unwrap_err();
    assert_eq!(
        launch::Chain(&error).to_string(),
        "neither a container nor a vm can be prepared: no memory"
    );
}

#[test]
fn every_timed_run_is_kept_and_held_against_the_one_of_its_round() {
    let comparison = run(
        &exiting(0).spans([("exec", 5_000)]),
        &exiting(0).spans([("kernel boot", 9_000_000)]),
        &exiting(0).spans([("restore", 5_010)]),
    );
    let series = comparison.series.unwrap();
    assert_eq!((series.rounds, series.samples.len()), (8, 24));
    assert!(series.samples.iter().all(|sample| !sample.has_failed()));
    for result in &comparison.results {
        let against = result.rows.iter().filter_map(|row| row.against.as_ref());
        let verdicts: Vec<_> = against.map(|it| it.comparison.verdict).collect();
        assert_eq!(verdicts, [Verdict::Slower, Verdict::Equivalent]);
    }
}

#[test]
fn a_way_that_fails_is_not_timed_and_one_alone_neither() {
    let failing = FakeLauncher::failing("x");
    let comparison = run(&exiting(0), &failing, &exiting(0));
    assert_eq!(comparison.series.unwrap().samples.len(), 16);
    let comparison = run(&exiting(0), &failing, &failing);
    assert_eq!(comparison.series, None);
    assert!(comparison.results.is_empty());
}

#[test]
fn a_way_that_ends_in_another_way_than_the_container_is_not_timed_and_a_note_says_so() {
    let comparison = run(&exiting(4), &exiting(4), &exiting(5));
    let samples = &comparison.series.as_ref().unwrap().samples;
    assert_eq!(samples.len(), 16);
    assert!(samples.iter().all(|it| it.contender != Contender::VmWarm));
    let note = "vm warm is not timed: it ended with 5, container with 4";
    assert!(crate::table::notes(&comparison).contains(&note.to_owned()));
}

#[test]
fn outputs_that_differ_are_noted() {
    let note = "the standard outputs of container and vm cold differ: unless they are meant to, as a \
        kernel's release is, their times say nothing";
    let is_noted = |comparison| crate::table::notes(&comparison).contains(&note.to_owned());
    assert!(is_noted(run(&saying("a"), &saying("b"), &saying("b"))));
    assert!(!is_noted(run(&saying("a"), &saying("a"), &saying("a"))));
}

#[test]
fn a_run_that_ends_in_another_way_than_the_checked_one_is_counted_and_in_no_figure() {
    let fake = exiting(0);
    let workload = workload();
    let prepared = fake.prepare(&workload, &NoProgress).unwrap();
    let entrant = |contender, exit_code| Entrant {
        contender,
        prepared: prepared.as_ref(),
        exit_code: Some(exit_code),
        took: Duration::ZERO,
    };
    let contenders = [Contender::Container, Contender::VmCold];
    let entrants = [entrant(contenders[0], 0), entrant(contenders[1], 3)];
    let interrupt = Interrupt::default();
    let plan = series_plan(6);
    let series = series::run(&plan, &entrants, None, &NoProgress, &interrupt).unwrap();
    let results = results::of_series(&series, &contenders);
    let [good, bad] = &results[0].rows[..] else {
        panic!("{results:?}");
    };
    assert_eq!((good.failures, good.summary.unwrap().count), (0, 6));
    assert_eq!((bad.failures, bad.summary), (6, None));
    assert_eq!(bad.against, None);
}

#[test]
fn without_time_each_warms_up_once_and_is_timed_once() {
    let fake = exiting(0);
    let workload = workload();
    let prepared = fake.prepare(&workload, &NoProgress).unwrap();
    let entrant = |contender| Entrant {
        contender,
        prepared: prepared.as_ref(),
        exit_code: Some(0),
        took: Duration::ZERO,
    };
    let contenders = [Contender::Container, Contender::VmCold];
    let plan = SeriesPlan {
        warm_up: 5,
        budget: Duration::ZERO,
        ..series_plan(6)
    };
    let entrants = contenders.map(entrant);
    let interrupt = Interrupt::default();
    let series = series::run(&plan, &entrants, None, &NoProgress, &interrupt).unwrap();
    let rounds: Vec<_> = series.samples.iter().map(|it| it.round).collect();
    assert_eq!(rounds, [0, 0, 5, 5]);
    assert_eq!((series.rounds, series.ended), (1, series::Ended::OutOfTime));
}

#[test]
fn after_an_interrupt_nothing_is_prepared_or_launched() {
    let interrupt = Interrupt::default();
    interrupt.raise();
    let asked = RefCell::default();
    let unable = Unable {
        name: "container",
        asked: &asked,
    };
    let workload = workload();
    let fake = exiting(0);
    let plan = plan(
        Ways {
            container: &unable,
            vm_cold: &fake,
            vm_warm: &fake,
        },
        &workload,
    );
    let result = compare(plan, &NoProgress, &interrupt);
    assert!(matches!(result, Err(Error::Interrupted)));
    assert!(asked.borrow().is_empty());
}

#[test]
fn a_comparison_survives_json() {
    let comparison = run(&saying("a"), &FakeLauncher::failing("x"), &saying("b"));
    let json = serde_json::to_string(&comparison).unwrap();
    assert_eq!(
        serde_json::from_str::<Comparison>(&json).unwrap(),
        comparison
    );
}
