//! `jaula bench`: a suite, measured, and what is written of it.

mod harness;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use harness::schema::{assert_is_a_sample, assert_is_a_summary};
use harness::{World, can_run, wait};
use launch::Side;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const SUITE: &str = r#"
[[workload]]
name = "startup"
about = "A static program that ends at once."
image = "busybox"
command = ["true"]
flags = ["--metrics=main", "--against=none"]
runs = 1
budget = "1ms"
"#;

/// A file that was kept before files had a form.
const KEPT: &str = r#"{"name": "startup", "about": "", "comparison": {"environment": {"programs":
{"jaula_version": "0.0.9"}}}}"#;

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
        let mut sample: Value = serde_json::from_str(line).unwrap();
        assert!(sample["launch_to_main_ns"].as_u64().unwrap() > 0);
        let workload = sample.as_object_mut().unwrap().remove("workload");
        assert_eq!(workload, Some("startup".into()));
        assert_is_a_sample(sample.to_string().as_bytes());
    }
    assert_is_a_summary(read(&out.join("summary.json")).as_bytes());
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

    let refused = |suite_text: &str, expected: &str| {
        fs::write(&suite, suite_text).unwrap();
        let seen = world.run(bench.into_iter().chain(["--resume"]));
        assert_eq!(seen.code, Some(125));
        assert!(seen.stderr.contains(expected), "{}", seen.stderr);
        assert_eq!(seen.stderr.lines().count(), 1, "{}", seen.stderr);
    };
    refused(
        &SUITE.replace("\"true\"", "\"false\""),
        "startup was measured with another image, command or flags",
    );
    // What is not measured yet would be measured on another host.
    let kept = out.join("workloads/startup.json");
    let mut elsewhere: Value = serde_json::from_str(&read(&kept)).unwrap();
    elsewhere["comparison"]["environment"]["cpus"] = 999.into();
    fs::write(&kept, elsewhere.to_string()).unwrap();
    let more = format!("{SUITE}\n{}", SUITE.replace("startup", "more"));
    refused(&more, ": the number of CPUs was 999, and is ");
}

#[test]
fn a_suite_that_is_called_off_between_two_workloads_is_written_down() {
    if !can_run(Side::Vm) {
        return;
    }
    let world = World::new();
    let root = world.dir().join("root");
    fs::create_dir(&root).unwrap();
    // Of no size on the disk, and read for some seconds by jaula itself.
    let large = File::create(root.join("large")).unwrap();
    large.set_len(2 << 30).unwrap();
    let suite = world.dir().join("suite.toml");
    let out = world.dir().join("results");
    let second = SUITE
        .replace("\"startup\"", "\"second\"")
        .replace("image = \"busybox\"", &format!("rootfs = {root:?}"));
    fs::write(&suite, format!("{SUITE}{second}")).unwrap();
    let [suite, out_flag] = [&suite, &out].map(|path| path.to_str().unwrap().to_owned());
    let mut bench = world.jaula(["bench", "--suite", &suite, "--out", &out_flag]);
    let mut child = bench.spawn().unwrap();
    let said = BufReader::new(child.stderr.take().unwrap());
    let mut said = said.lines().map(Result::unwrap);
    assert!(said.any(|line| line.contains("second (2 of 2)")));
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    assert_eq!(said.last().as_deref(), Some("jaula: interrupted by SIGINT"));
    assert_eq!(wait(&mut child).code(), Some(130));
    assert!(read(&out.join("report.md")).contains("startup"));
    world.assert_no_traces();
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
        (
            &SUITE.replace("--metrics=main", "probe"),
            "its flags say something of what runs",
        ),
        (
            &SUITE.replace("--metrics=main", "--"),
            "its flags say something of what runs",
        ),
        (
            &SUITE.replace("--metrics=main", "--rootfs=/"),
            "its flags say something of what runs",
        ),
        (
            &SUITE.replace("\"busybox\"", "\"--warmup=1\""),
            "or its image is a flag",
        ),
        (
            &SUITE.replace("\"busybox\"", "\"--help\""),
            "help is asked for in place of it",
        ),
        (
            &SUITE.replace("--metrics=main", "--json"),
            "--json and --html are no flags of a suite's",
        ),
        (
            &SUITE.replace("--metrics=main", "--html=x"),
            "--json and --html are no flags of a suite's",
        ),
        (
            &SUITE.replace("--metrics=main", "-i"),
            "--interactive is no flag of a suite's",
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

#[test]
fn what_cant_be_measured_is_in_the_report_and_the_suite_goes_on() {
    let world = World::new();
    let path = |name: &str| world.dir().join(name).to_str().unwrap().to_owned();
    let [suite, out] = ["suite.toml", "out"].map(path);
    // Asked over the network, and on none: nothing of it runs.
    let workload = SUITE.replace("--metrics=main", "--ready=tcp:80");
    let two = [
        workload.clone(),
        workload.replace("\"startup\"", "\"other\""),
    ];
    fs::write(&suite, two.concat()).unwrap();
    let seen = world.run(["bench", "--suite", &suite, "--out", &out]);
    assert_eq!(seen.code, Some(125), "{}", seen.stderr);
    let reason = "what is not on a bridge can't be asked whether it is ready";
    let report = read(&Path::new(&out).join("report.md"));
    assert_eq!(report, seen.stdout_text());
    assert!(report.contains("## Not measured"), "{report}");
    for name in ["startup", "other"] {
        assert!(report.contains(&format!("- {name}: {reason}")), "{report}");
    }
    assert_eq!(seen.stderr.matches(reason).count(), 2, "{}", seen.stderr);
}

#[test]
fn a_way_that_cant_run_on_this_host_is_in_the_report_and_in_the_exit_code() {
    let world = World::new();
    let path = |name: &str| world.dir().join(name).to_str().unwrap().to_owned();
    let [suite, out] = ["suite.toml", "out"].map(path);
    // No disk, which is all that a VM can be given.
    fs::write(
        &suite,
        SUITE.replace("--metrics=main", "--device=/dev/null"),
    )
    .unwrap();
    let seen = world.run(["bench", "--suite", &suite, "--out", &out]);
    assert_eq!(seen.code, Some(125), "{}", seen.stderr);
    let report = read(&Path::new(&out).join("report.md"));
    for way in ["vm cold", "vm warm"] {
        let told = format!("- Note: {way} failed: ");
        assert!(report.contains(&told), "{report}");
    }
    // Who can read one of the results can read them all.
    let [kept, report] = ["workloads/startup.json", "report.md"].map(|name| {
        let file = fs::metadata(Path::new(&out).join(name)).unwrap();
        file.permissions().mode()
    });
    assert_eq!(kept, report);
}

/// A limit of the median that any run exceeds, or none does.
fn budget(p50: &str) -> String {
    format!(
        "[[limit]]\nworkload = \"startup\"\ncontender = \"container\"\nmetric = \"main\"\np50 = \"{p50}\"\n"
    )
}

#[test]
fn two_results_are_held_against_each_other_and_against_a_budget() {
    if !can_run(Side::Vm) {
        return;
    }
    let world = World::new();
    let path = |name: &str| world.dir().join(name).to_str().unwrap().to_owned();
    let [suite, limits, before, after] = ["suite.toml", "limits.toml", "a", "b"].map(path);
    fs::write(&suite, SUITE).unwrap();
    let first = world.run(["bench", "--suite", &suite, "--out", &before]);
    assert_eq!(first.code, Some(0), "{}", first.stderr);

    fs::write(&limits, budget("1ns")).unwrap();
    let second = world.run([
        "bench",
        "--suite",
        &suite,
        "--out",
        &after,
        "--baseline",
        &before,
        "--budget",
        &limits,
    ]);
    assert_eq!(second.code, Some(1), "{}", second.stderr);
    let text = second.stdout_text();
    assert!(text.contains("## Since the baseline"), "{text}");
    assert!(text.contains("p50 at most 1 ns"), "{text}");
    assert!(text.contains("| BROKEN |"), "{text}");
    assert_eq!(text, read(&Path::new(&after).join("report.md")));

    let diff = world.run(["bench", "diff", &before, &after, "--budget", &limits]);
    assert_eq!(diff.code, Some(1), "{}", diff.stderr);
    fs::write(&limits, budget("1h")).unwrap();
    let diff = world.run(["bench", "diff", &before, &after, "--budget", &limits]);
    assert_eq!(diff.code, Some(0), "{}", diff.stderr);
    let text = diff.stdout_text();
    assert!(text.contains("1 and 1"), "{text}");
    assert!(text.contains("too few runs"), "{text}");
    assert!(text.trim_end().ends_with("kept"), "{text}");

    let page = path("changes.html");
    let json = world.run(["bench", "diff", "--json", "--html", &page, &before, &after]);
    let page = read(Path::new(&page));
    assert!(page.contains("What changed between two results?"));
    assert!(page.contains("<td>too few runs</td>"), "{page}");
    // What was measured with a baseline and a budget has both on its page.
    let page = read(&Path::new(&after).join("report.html"));
    assert!(page.contains("What changed") && page.contains("<td>BROKEN</td>"));
    let json: Value = serde_json::from_str(&json.stdout_text()).unwrap();
    assert_eq!(json["changes"]["rows"].as_array().unwrap().len(), 3);
    assert_eq!(json["changes"]["circumstances"], Value::Array(Vec::new()));
}

#[test]
fn results_and_budgets_that_are_none_are_refused_before_anything_runs() {
    let world = World::new();
    let path = |name: &str| world.dir().join(name).to_str().unwrap().to_owned();
    let [suite, limits, out, none] = ["suite.toml", "limits.toml", "out", "none"].map(path);
    fs::write(&suite, SUITE).unwrap();
    let of_baseline = budget("1s").replace("p50 = \"1s\"", "baseline = 1.5");
    for (text, flags, expected) in [
        (budget("1s"), ["--baseline", &none], "holds no results"),
        (
            "speed = 1".into(),
            ["--budget", &limits],
            "unknown field `speed`",
        ),
        (
            budget("1s").replace("startup", "hash"),
            ["--budget", &limits],
            "a limit for hash, which is not measured",
        ),
        (
            of_baseline,
            ["--budget", &limits],
            "about a baseline, and there is none",
        ),
    ] {
        fs::write(&limits, text).unwrap();
        let words = ["bench", "--suite", &suite, "--out", &out]
            .into_iter()
            .chain(flags);
        let seen = world.run(words);
        assert_eq!(seen.code, Some(125));
        assert!(seen.stderr.contains(expected), "{}", seen.stderr);
        assert_eq!(seen.stderr.lines().count(), 1, "{}", seen.stderr);
        assert!(!Path::new(&out).exists());
    }
    let seen = world.run(["bench", "diff", &none, &none]);
    assert_eq!(seen.code, Some(125));
    assert!(seen.stderr.contains("holds no results"), "{}", seen.stderr);
}

#[test]
fn results_that_are_too_long_are_refused_by_their_name() {
    let world = World::new();
    let path = |name: &str| world.dir().join(name).to_str().unwrap().to_owned();
    let [suite, long] = ["suite.toml", "long"].map(path);
    fs::write(&suite, SUITE).unwrap();
    let kept = Path::new(&long).join("workloads");
    fs::create_dir_all(&kept).unwrap();
    // Of no size on the disk.
    let file = File::create(kept.join("startup.json")).unwrap();
    file.set_len((1 << 30) + 1).unwrap();
    for words in [
        vec!["bench", "diff", &long, &long],
        vec!["bench", "--suite", &suite, "--out", &long, "--resume"],
    ] {
        let seen = world.run(words);
        assert_eq!(seen.code, Some(125));
        assert_eq!(
            seen.stderr,
            format!("jaula: can't read {long}/workloads/startup.json: it has more than 1024 MiB\n")
        );
    }
}

#[test]
fn results_of_an_earlier_version_are_refused_with_that_version_and_what_to_do() {
    let world = World::new();
    let path = |name: &str| world.dir().join(name).to_str().unwrap().to_owned();
    let [suite, old] = ["suite.toml", "old"].map(path);
    fs::write(&suite, SUITE).unwrap();
    let kept = Path::new(&old).join("workloads");
    fs::create_dir_all(&kept).unwrap();
    for (text, expected) in [
        (KEPT, "it was made by jaula 0.0.9, in form 1"),
        ("startup", "it is no result of jaula's"),
    ] {
        fs::write(kept.join("startup.json"), text).unwrap();
        for words in [
            vec!["bench", "diff", &old, &old],
            vec!["bench", "--suite", &suite, "--out", &old, "--resume"],
            vec![
                "bench",
                "--suite",
                &suite,
                "--out",
                "/x",
                "--baseline",
                &old,
            ],
        ] {
            let seen = world.run(words);
            assert_eq!(seen.code, Some(125));
            assert!(seen.stderr.contains(expected), "{}", seen.stderr);
            assert!(seen.stderr.contains("measure again"), "{}", seen.stderr);
            assert_eq!(seen.stderr.lines().count(), 1, "{}", seen.stderr);
        }
    }
}
