//! The built-in image `probe`, and figures that a workload reports.

#![allow(clippy::unwrap_used)]

mod harness;

use bench::Way;
use harness::{Place, Seen, World, can_run, run};

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
        assert_eq!(lines.next(), Some("jaula-figures 1"), "{way}");
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
