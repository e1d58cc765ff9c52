//! `jaula bench`: a suite, measured, and what is written of it.

mod harness;

use std::fs;
use std::path::Path;

use harness::{World, can_run};
use launch::Side;
use serde_json::Value;

const SUITE: &str = r#"
[[workload]]
name = "startup"
about = "A static program that ends at once."
image = "busybox"
command = ["true"]
flags = ["--metrics=main"]
runs = 1
budget = "1ms"
"#;

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn a_suite_is_measured_written_down_and_not_measured_again() {
    if !can_run(Side::Vm) {
        return;
    }
    let world = World::new();
    let suite = world.dir().join("suite.toml");
    let out = world.dir().join("results");
    fs::write(&suite, SUITE).unwrap();
    let [suite, out_flag] = [&suite, &out].map(|path| path.to_str().unwrap().to_owned());
    let bench = ["bench", "--suite", &suite, "--out", &out_flag];

    let seen = world.run(bench);
    assert_eq!(seen.code, Some(0), "{}", seen.stderr);
    assert!(
        seen.stdout_text().contains("| vm warm | 1 |"),
        "{}",
        seen.stdout_text()
    );
    assert_eq!(seen.stdout_text(), read(&out.join("report.md")));
    let samples = read(&out.join("samples.jsonl"));
    assert_eq!(samples.lines().count(), 3, "{samples}");
    for line in samples.lines() {
        let sample: Value = serde_json::from_str(line).unwrap();
        assert_eq!(sample["workload"], "startup");
        assert!(sample["launch_to_main_ns"].as_u64().unwrap() > 0);
    }
    assert_eq!(read(&out.join("results.csv")).lines().count(), 4);
    assert!(read(&out.join("report.html")).contains("A static program that ends at once."));
    let hyperfine: Value = serde_json::from_str(&read(&out.join("hyperfine.json"))).unwrap();
    assert_eq!(hyperfine["results"].as_array().unwrap().len(), 3);

    let again = world.run(bench);
    assert_eq!(again.code, Some(125));
    assert!(
        again.stderr.contains("holds results already"),
        "{}",
        again.stderr
    );
    let resumed = world.run(bench.into_iter().chain(["--resume"]));
    assert_eq!(resumed.code, Some(0), "{}", resumed.stderr);
    assert!(
        resumed.stderr.contains("startup was measured before"),
        "{}",
        resumed.stderr
    );
    assert_eq!(read(&out.join("samples.jsonl")), samples);
}

#[test]
fn a_suite_that_means_nothing_is_refused_before_anything_runs() {
    let world = World::new();
    let suite = world.dir().join("suite.toml");
    let out = world.dir().join("results");
    for (text, expected) in [
        ("speed = 1", "line 1: unknown field `speed`"),
        (
            &SUITE.replace("--metrics=main", "--metrics=speed"),
            "there is no metric \"speed\"",
        ),
        (
            &SUITE.replace("startup", "../startup"),
            "can't be a workload's name",
        ),
    ] {
        fs::write(&suite, text).unwrap();
        let [suite, out] = [&suite, &out].map(|path| path.to_str().unwrap());
        let seen = world.run(["bench", "--suite", suite, "--out", out]);
        assert_eq!(seen.code, Some(125));
        assert!(seen.stderr.contains(expected), "{}", seen.stderr);
        assert_eq!(seen.stderr.lines().count(), 1, "{}", seen.stderr);
        assert!(!Path::new(out).exists());
    }
}
