//! What the book's chapter of instances promises of finding them, asking of them and ending them.

#![allow(clippy::unwrap_used)]

mod harness;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use harness::ann::{Ann, Ranges};
use harness::detached::{Detached, eventually};
use harness::nobody::is_root;
use harness::oci::{self, Layout};
use harness::{see, wait};
use serde_json::Value;

/// Says so when it is asked to end, and ends when it is poked.
const PATIENT: &str = "trap 'echo asked' TERM; trap 'exit 5' USR1; echo up; \
                       while :; do sleep 0.1; done";

fn rows(test: &Detached, filters: &[&str]) -> Vec<Value> {
    let mut args = vec!["ps", "--format", "json"];
    args.extend(filters.iter().flat_map(|filter| ["-f", filter]));
    let listed = test.says(&args);
    let lines = listed.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn names(test: &Detached, filters: &[&str]) -> Vec<String> {
    let name = |row: &Value| row["Names"].as_str().unwrap().to_owned();
    rows(test, filters).iter().map(name).collect()
}

#[test]
fn of_several_filters_with_one_key_any_fits_and_of_labels_all_must() {
    let test = Detached::new();
    let labels = ["--label", "app=shop", "--label", "old"];
    let (web, web_id) = test.start(
        0,
        &[&labels[..], &["-l", "tier=web"]].concat(),
        &["sleep", "1000"],
    );
    let (db, db_id) = test.start(1, &["-l", "app=shop", "-l", "tier=db"], &["sleep", "1000"]);
    test.says(&["pause", &db]);
    let (web_name, db_name) = (format!("name={web}"), format!("name={db}"));
    let (web_begins, db_is) = (format!("id={}", &web_id[..10]), format!("id={db_id}"));
    let nothing: Vec<String> = vec![];
    let (only_web, only_db) = (vec![web.clone()], vec![db.clone()]);
    // The newest first.
    let both = vec![db.clone(), web.clone()];
    for (filters, expected) in [
        (&[&web_name[..]][..], &only_web),
        (&[&web_name, &db_name], &both),
        (&[&web_begins], &only_web),
        (&[&web_begins, &db_is], &both),
        (&[&web_begins, &db_name], &nothing),
        (&["status=paused"], &only_db),
        (&["status=running"], &only_web),
        (&["status=paused", "status=running"], &both),
        (&["label=app"], &both),
        (&["label=app=shop", "label=tier=db"], &only_db),
        (&["label=tier=web", "label=tier=db"], &nothing),
        (&["label=old"], &only_web),
        (&["label=old="], &only_web),
        (&["label=old=1"], &nothing),
    ] {
        assert_eq!(&names(&test, filters), expected, "{filters:?}");
    }
    for filter in ["ancestor=busybox", "status=dead", "exited=x", "web"] {
        let seen = test.world.run(["ps", "-f", filter]);
        assert_eq!(seen.code, Some(125));
        assert!(seen.stderr.contains("name=PART"), "{}", seen.stderr);
    }
    let quiet = test.says(&["ps", "-q", "-f", &web_name]);
    assert_eq!(quiet, format!("{web_id}\n"));
    test.says(&["rm", "-f", &web, &db]);
}

#[test]
fn a_list_cuts_off_long_commands_unless_it_is_told_not_to() {
    let test = Detached::new();
    let (name, id) = test.start(0, &[], &["sh", "-c", "sleep 1000; echo the end"]);
    let listed = test.says(&["ps"]);
    assert!(listed.starts_with("INSTANCE ID"), "{listed}");
    assert!(listed.contains("\"sh -c sleep 1000; e…\""), "{listed}");
    assert!(test.says(&["ps", "--no-trunc"]).contains("echo the end\""));
    let row = &rows(&test, &[])[0];
    for (key, expected) in [
        ("ID", id.as_str()),
        ("Image", "busybox"),
        ("Side", "container"),
        ("State", "running"),
        ("Ports", ""),
    ] {
        assert_eq!(row[key], expected, "{key}");
    }
    test.says(&["rm", "-f", &name]);
}

#[test]
fn one_that_has_a_caller_is_not_kept_when_it_has_ended() {
    let test = Detached::new();
    let name = test.name(0);
    assert_eq!(
        test.says(&["run", "--name", &name, "busybox", "echo", "x"]),
        "x\n"
    );
    assert_eq!(test.says(&["ps", "-aq"]), "");
    test.world.assert_no_traces();
}

/// A second instance whose ID begins as that of one that has ended; its ID.
fn twin(test: &Detached, of: &str, name: &str) -> String {
    let run = test.world.run_dir();
    let copied = Command::new("cp")
        .arg("-a")
        .args([run.join(of), run.join(name)])
        .status();
    assert!(copied.unwrap().success());
    let path = run.join(name).join("record");
    let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let id = record["id"].as_str().unwrap();
    let last = if id.ends_with('0') { '1' } else { '0' };
    let id = format!("{}{last}", &id[..11]);
    record["id"] = id.as_str().into();
    record["name"] = name.into();
    fs::write(&path, serde_json::to_vec(&record).unwrap()).unwrap();
    id
}

#[test]
fn a_beginning_that_two_ids_have_names_neither() {
    let test = Detached::new();
    let (name, id) = test.start(0, &[], &["sh", "-c", "exit 3"]);
    assert_eq!(test.says(&["wait", &id[..4]]), "3\n");
    let other = test.name(1);
    let twin_id = twin(&test, &name, &other);
    let beginning = &id[..11];
    for command in [
        &["inspect", "-f", ".Id"][..],
        &["wait"],
        &["rm"],
        &["logs"],
        &["port"],
    ] {
        let said = test.fails(&[command, &[beginning]].concat());
        let expected = format!("jaula: multiple IDs found with provided prefix: {beginning}\n");
        assert_eq!(said, expected, "{command:?}");
    }
    assert_eq!(test.field(&id, ".Name"), name);
    assert_eq!(test.field(&twin_id, ".Name"), other);
    assert_eq!(
        test.says(&["rm", &twin_id, beginning]),
        format!("{other}\n{name}\n")
    );
    test.world.assert_no_traces();
}

#[test]
fn stop_waits_as_long_as_it_is_told_to() {
    let test = Detached::new();
    // Its own time is over at once; what is typed goes before it.
    let (name, _) = test.start(0, &["--stop-timeout", "0"], &["sh", "-c", PATIENT]);
    test.await_log(&name, "up\n");
    let mut stop = test
        .world
        .jaula(["stop", "-t", "-1", &name])
        .spawn()
        .unwrap();
    test.await_log(&name, "up\nasked\n");
    thread::sleep(Duration::from_millis(500));
    assert!(stop.try_wait().unwrap().is_none());
    assert_eq!(test.field(&name, ".State.Status"), "running");
    test.says(&["kill", "-s", "USR1", &name]);
    assert_eq!(wait(&mut stop).code(), Some(0));
    assert_eq!(test.says(&["wait", &name]), "5\n");
    test.says(&["rm", &name]);
    // For ever if its run says so, unless less is typed.
    let (name, _) = test.start(0, &["--stop-timeout", "-1"], &["sh", "-c", PATIENT]);
    test.await_log(&name, "up\n");
    assert_eq!(test.field(&name, ".Config.StopTimeout"), "-1");
    assert_eq!(
        test.says(&["stop", "--time", "0", &name]),
        format!("{name}\n")
    );
    assert_eq!(test.says(&["wait", &name]), "137\n");
    test.says(&["rm", &name]);
    for timeout in ["-2", "x", "1.5"] {
        assert_eq!(
            test.world.run(["stop", "-t", timeout, &name]).code,
            Some(125)
        );
    }
}

#[test]
fn stop_sends_the_signal_of_the_user_of_the_run_or_of_the_image() {
    let script = "trap 'exit 1' INT; trap 'exit 2' USR2; trap 'exit 3' HUP; echo up; \
                  while :; do sleep 0.1; done";
    let test = Detached::new();
    if !Layout::can_be_made() {
        return;
    }
    let mut layout = Layout::new(test.world.dir());
    layout.layer(oci::busybox);
    layout.config(&["--config.stopsignal", "SIGINT"]);
    let image = format!("oci:{}", layout.path());
    for (of_run, typed, code) in [
        (&[][..], &[][..], "1\n"),
        (&["--stop-signal", "USR2"], &[], "2\n"),
        (&["--stop-signal", "USR2"], &["-s", "HUP"], "3\n"),
    ] {
        let name = test.name(0);
        let run = [
            &["run", "-d", "--name", &name],
            of_run,
            &[&image, "sh", "-c", script],
        ]
        .concat();
        test.says(&run);
        test.await_log(&name, "up\n");
        test.says(&[&["stop"], typed, &[&name]].concat());
        assert_eq!(test.says(&["wait", &name]), code);
        test.says(&["rm", &name]);
    }
    test.world.assert_no_traces();
}

#[test]
fn logs_begin_where_they_are_told_to() {
    let test = Detached::new();
    let script = "echo old; sleep 2; echo new; echo bad >&2";
    let (name, _) = test.start(0, &[], &["sh", "-c", script]);
    assert_eq!(test.says(&["wait", &name]), "0\n");
    let logs = |flags: &[&str]| {
        let seen = test.world.run([&["logs"], flags, &[&name]].concat());
        assert_eq!(seen.code, Some(0), "{}", seen.stderr);
        (seen.stdout_text(), seen.stderr)
    };
    let all = ("old\nnew\n".to_owned(), "bad\n".to_owned());
    let dated = logs(&["-t"]).0;
    let second = dated.lines().nth(1).unwrap();
    let (moment, line) = second.split_once(' ').unwrap();
    assert_eq!(line, "new");
    for (flags, expected) in [
        (&[][..], &all),
        (&["-n", "all"], &all),
        (&["--tail", "-1"], &all),
        (&["--since", "10m"], &all),
        (&["--since", "0"], &all),
        (
            &["--since", moment],
            &("new\n".to_owned(), "bad\n".to_owned()),
        ),
        (
            &["--since", moment, "-n", "1"],
            &(String::new(), "bad\n".to_owned()),
        ),
        // One that has ended is followed to its end.
        (
            &["-f", "-n", "2"],
            &("new\n".to_owned(), "bad\n".to_owned()),
        ),
    ] {
        assert_eq!(&logs(flags), expected, "{flags:?}");
    }
    test.says(&["rm", &name]);
}

#[test]
fn a_log_is_a_line_of_json_for_each_of_its_own() {
    let test = Detached::new();
    let (name, _) = test.start(0, &[], &["sh", "-c", "echo out; echo err >&2; printf half"]);
    test.says(&["wait", &name]);
    let dir = test.world.run_dir().join(&name);
    assert_eq!(
        test.field(&name, ".LogPath"),
        dir.join("log").to_str().unwrap()
    );
    let text = fs::read_to_string(dir.join("log")).unwrap();
    let mut said: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|entry| {
            assert!(entry["time"].as_str().unwrap().ends_with('Z'), "{entry}");
            format!("{} {}", entry["stream"], entry["log"])
        })
        .collect();
    said.sort();
    assert_eq!(
        said,
        [
            r#""stderr" "err\n""#,
            r#""stdout" "half""#,
            r#""stdout" "out\n""#
        ]
    );
    test.says(&["rm", &name]);
}

#[test]
fn only_its_owner_looks_into_what_is_kept() {
    let test = Detached::new();
    let (name, _) = test.start(0, &["-e", "SECRET=1"], &["true"]);
    test.says(&["wait", &name]);
    let dir = test.world.run_dir().join(&name);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o077;
    for path in [dir.clone(), dir.join("record"), dir.join("log")] {
        assert_eq!(mode(&path), 0, "{}", path.display());
    }
    test.says(&["rm", &name]);
}

#[test]
fn one_that_has_ended_says_how() {
    let test = Detached::new();
    let (exited, _) = test.start(0, &[], &["sh", "-c", "exit 4"]);
    let hungry = ["sh", "-c", "exec tail -c 100m /dev/zero"];
    let (starved, _) = test.start(1, &["-m", "16m"], &hungry);
    assert_eq!(test.says(&["wait", &exited, &starved]), "4\n137\n");
    for (name, code, oom_killed) in [(&exited, "4", "false"), (&starved, "137", "true")] {
        for (field, expected) in [
            (".State.Status", "exited"),
            (".State.Running", "false"),
            (".State.Pid", "0"),
            (".State.ExitCode", code),
            (".State.OOMKilled", oom_killed),
        ] {
            assert_eq!(test.field(name, field), expected, "{name} {field}");
        }
        let [start, end] = ["{{.State.StartedAt}}", "{{ .State.FinishedAt }}"];
        assert!(test.field(name, start) <= test.field(name, end));
    }
    test.says(&["rm", &exited, &starved]);
}

#[test]
fn of_several_those_that_are_there_are_told_of() {
    let test = Detached::new();
    let (name, id) = test.start(0, &[], &["true"]);
    test.says(&["wait", &name]);
    let seen = test.world.run(["inspect", "none", &name]);
    assert_eq!(seen.code, Some(1));
    assert_eq!(seen.stderr, "jaula: no such instance: none\n");
    let told: Value = serde_json::from_slice(&seen.stdout).unwrap();
    assert_eq!(told.as_array().unwrap().len(), 1);
    assert_eq!(told[0]["Id"], id.as_str());
    let none = test.world.run(["inspect", "none"]);
    assert_eq!((none.code, none.stdout_text().as_str()), (Some(1), "[]\n"));
    let both = test.says(&["inspect", "-f", ".Name", &name, &id]);
    assert_eq!(both, format!("{name}\n{name}\n"));
    assert_eq!(
        test.says(&["inspect", "-f", ".Config.Cmd", &name]),
        "[\"true\"]\n"
    );
    assert_eq!(
        test.says(&["inspect", "-f", ".Config.Cmd.0", &name]),
        "true\n"
    );
    for (command, said) in [("wait", "0\n"), ("rm", &*format!("{name}\n"))] {
        let seen = test.world.run([command, "none", &name]);
        assert_eq!((seen.code, seen.stdout_text().as_str()), (Some(1), said));
    }
    test.world.assert_no_traces();
}

#[test]
fn statistics_go_on_until_those_that_were_named_have_ended() {
    let test = Detached::new();
    let (name, id) = test.start(0, &["-m", "32m"], &["sleep", "1000"]);
    let mut stats = test
        .world
        .jaula(["stats", "--format", "json", &name])
        .spawn()
        .unwrap();
    let heads = test.says(&["stats", "--no-stream", &id]);
    for head in [
        "INSTANCE ID",
        "CPU %",
        "MEM USAGE / LIMIT",
        "NET I/O",
        "PIDS",
        &name,
    ] {
        assert!(heads.contains(head), "{head} is not in {heads}");
    }
    // There is no network to count.
    assert!(heads.contains("-- / --"), "{heads}");
    assert!(stats.try_wait().unwrap().is_none());
    test.says(&["rm", "-f", &name]);
    assert_eq!(wait(&mut stats).code(), Some(0));
    let said = test.fails(&["stats", "--no-stream", &id]);
    assert_eq!(said, format!("jaula: no such instance: {id}\n"));
    assert_eq!(test.says(&["stats", "--no-stream", "--format", "json"]), "");
}

#[test]
fn an_ordinary_user_without_a_cgroup_is_told_what_takes_one() {
    if !is_root() {
        return;
    }
    let Some(ann) = Ann::new(Ranges::Given) else {
        return;
    };
    let name = format!("{}0", ann.world.name_prefix());
    ann.says(&["run", "-d", "--name", &name, "busybox", "sleep", "1000"]);
    for command in [&["pause"][..], &["stats", "--no-stream"]] {
        let seen = ann.run(&[command, &[&name]].concat());
        assert_eq!((seen.code, seen.stdout_text().as_str()), (Some(1), ""));
        assert_eq!(
            seen.stderr,
            format!("jaula: instance {name} has no cgroup of its own\n")
        );
    }
    assert_eq!(ann.says(&["stop", "-t", "0", &name]), format!("{name}\n"));
    ann.says(&["rm", &name]);
    ann.world.assert_no_traces();
}

#[test]
fn one_that_stands_still_is_stopped_all_the_same() {
    let test = Detached::new();
    let (name, _) = test.server(0, &[]);
    let said = test.fails(&["unpause", &name]);
    assert_eq!(said, format!("jaula: instance {name} is not paused\n"));
    test.says(&["pause", &name]);
    assert_eq!(test.field(&name, ".State.Status"), "paused");
    assert_eq!(test.says(&["stop", &name]), format!("{name}\n"));
    assert_eq!(test.says(&["wait", &name]), "3\n");
    test.says(&["rm", &name]);
}

#[test]
fn one_without_a_freezer_says_so_and_goes_on() {
    if !Path::new("/sys/fs/cgroup/freezer").exists() {
        eprintln!("SKIPPED: there is no freezer of version 1");
        return;
    }
    let test = Detached::new();
    let name = test.name(0);
    let run = [
        "run", "--name", &name, "-m", "64m", "busybox", "sleep", "1000",
    ];
    let mut caller = test.world.jaula(run).spawn().unwrap();
    eventually(|| !names(&test, &[]).is_empty());
    let said = test.fails(&["pause", &name]);
    assert!(said.contains("it was started without a freezer"), "{said}");
    assert_eq!(test.field(&name, ".State.Status"), "running");
    test.says(&["kill", &name]);
    assert_eq!(wait(&mut caller).code(), Some(137));
}

#[test]
fn a_log_is_followed_from_its_last_lines_while_it_grows() {
    let test = Detached::new();
    let script = "trap 'echo poked' USR1; trap 'exit 0' TERM; echo one; echo two; \
                  while :; do sleep 0.1; done";
    let (name, _) = test.start(0, &[], &["sh", "-c", script]);
    test.await_log(&name, "one\ntwo\n");
    let follow = test.world.jaula(["logs", "-f", "-n", "1", &name]);
    let following = thread::spawn(move || see(follow, b""));
    test.says(&["kill", "-s", "USR1", &name]);
    test.await_log(&name, "one\ntwo\npoked\n");
    test.says(&["rm", "-f", &name]);
    let said = following.join().unwrap().stdout_text();
    // It may have begun after the last line was said.
    assert!(
        ["two\npoked\n", "poked\n"].contains(&said.as_str()),
        "{said}"
    );
    eventually(|| test.says(&["ps", "-aq"]).is_empty());
}
