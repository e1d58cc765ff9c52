//! The built-in image `probe`, and figures that a workload reports.

#![allow(clippy::unwrap_used)]

mod harness;

use bench::{Contender, Way};
use harness::comparison::compared;
use harness::{Place, Seen, World, can_run, run};
use launch::Side;

/// Runs the probe's program one way.
fn probe(way: Way, words: &[&str]) -> Option<Seen> {
    if !can_run(way.side()) {
        return None;
    }
    let _place = Place::take(way.side());
    Some(World::new().run([run(way), &["probe"], words].concat()))
}

#[test]
fn each_job_has_its_figures_each_way() {
    let jobs = [
        "syscalls",
        "faults",
        "switches",
        "processes",
        "timer",
        "hash",
        "memory=1",
        "fsync",
        "read",
        "tcp",
        "wait=0",
    ];
    let figures = [
        "clock-read",
        "getppid",
        "read-4k-cached",
        "open-close",
        "first-touch",
        "pipe-round-trip",
        "futex-round-trip",
        "fork-exec-wait",
        "timer-overshoot",
        "sha256-256k",
        "touch-1m",
        "free-1m",
        "write-4k",
        "write-4k-fsync",
        "read-4k-first",
        "read-128k-first",
        "tcp-round-trip",
        "tcp-256k",
    ];
    for way in [Way::Container, Way::VmWarm] {
        let Some(seen) = probe(way, &jobs) else {
            continue;
        };
        assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), ""), "{way}");
        let text = seen.stdout_text();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("jaula-figures 2"), "{way}");
        let names: Vec<_> = lines.filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(names, [&figures[..], &["end"]].concat(), "{way}: {text}");
    }
}

#[test]
fn without_a_job_it_ends_at_once_and_an_unknown_one_is_named() {
    let Some(seen) = probe(Way::Container, &[]) else {
        return;
    };
    assert_eq!((seen.code, seen.stdout_text()), (Some(0), String::new()));
    let seen = probe(Way::Container, &["speed"]).unwrap();
    assert_eq!(seen.code, Some(2));
    assert!(
        seen.stderr
            .starts_with("probe: there is no job \"speed\": "),
        "{}",
        seen.stderr
    );
    assert_eq!(seen.stderr.lines().count(), 1, "{}", seen.stderr);
}

#[test]
fn what_the_probe_reports_is_compared_each_way_and_beside_a_host_process() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let page = world.dir().join("report.html");
    let page_flag = format!("--html={}", page.display());
    let comparison = compared(
        &world,
        [
            "--runs=1",
            "--budget-time=1ms",
            "--metrics=figures",
            "--against=host",
            "--memory=128m",
            &page_flag,
            "probe",
            "syscalls",
            "faults",
        ],
    );
    // Numbers differ, and that is no difference.
    assert!(comparison.stdout_differences.iter().all(|it| it.identical));
    assert!(comparison.others.iter().all(|it| it.is_output_alike));
    let names: Vec<_> = comparison
        .figures
        .iter()
        .map(|it| it.figure.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "clock-read",
            "getppid",
            "read-4k-cached",
            "open-close",
            "first-touch"
        ]
    );
    for result in &comparison.figures {
        let contenders: Vec<_> = result.rows.iter().map(|it| it.of_runs.contender).collect();
        assert_eq!(
            contenders,
            [
                Contender::HostProcess,
                Contender::Container,
                Contender::VmCold,
                Contender::VmWarm
            ]
        );
        for row in &result.rows {
            assert!(row.of_runs.summary.unwrap().p50 > 0, "{row:?}");
        }
    }
    // However busy this machine is, no clock stands still.
    for sample in &comparison.series.as_ref().unwrap().samples {
        let reported = sample.reported.as_ref().unwrap();
        assert!(reported.took_ns >= 250_000_000, "{reported:?}");
        assert!(reported.host_ns > reported.took_ns / 2, "{reported:?}");
    }
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("What each operation costs, as a ratio"));
}

#[test]
fn each_operation_has_its_processor_time_and_a_write_what_it_is_worth() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let data = world.dir().join("data");
    std::fs::create_dir(&data).unwrap();
    let volume = format!("{}:/data", data.display());
    let comparison = compared(
        &world,
        [
            "--runs=1",
            "--budget-time=1ms",
            "--metrics=cpu,figures",
            "--memory=128m",
            "-v",
            &volume,
            "-w/data",
            "probe",
            "fsync",
        ],
    );
    for sample in &comparison.series.as_ref().unwrap().samples {
        let reported = sample.reported.as_ref().unwrap();
        let mut all_ns = 0;
        for figure in &reported.figures {
            let Some(cpu_ns) = figure.cpu_ns else {
                // On a busy machine a line may be late, and then no stretch is that of a figure.
                let apart_ns = reported.host_ns.abs_diff(reported.took_ns);
                assert!(apart_ns * 10 > reported.host_ns, "{reported:?}");
                continue;
            };
            all_ns += cpu_ns * figure.values * figure.batch;
            assert!(cpu_ns > 0, "{figure:?}");
        }
        // What starts it and what is around the figures comes on top.
        assert!(all_ns <= sample.cpu_ns.unwrap() * 11 / 10, "{reported:?}");
    }
    assert_eq!(comparison.durability.len(), 2);
    for durability in &comparison.durability {
        assert_eq!(durability.writes, bench::Writes::HostFile);
    }
}

#[test]
fn a_report_that_cant_be_read_is_told_in_a_line() {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let script = "echo jaula-figures 1; echo 'x values=1 batch=1 p50_ns=\u{1b}[2J'";
    let seen = World::new().run(["compare", "--runs=0", "busybox", "sh", "-c", script]);
    assert_eq!(seen.code, Some(125), "{}", seen.stderr);
    let text = seen.stdout_text();
    assert!(!text.contains('\u{1b}'), "{text}");
    let text = text.replace('\n', " ");
    assert!(
        text.contains("the figures that it reports can't be read: line 2: p50_ns is no number"),
        "{text}"
    );
}
