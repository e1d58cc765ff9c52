//! Instances that outlive their caller, and what others do with instances.

#![allow(clippy::unwrap_used)]

#[path = "../vmm/tests/monitor/guest.rs"]
#[allow(dead_code)]
mod guest;
mod harness;

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use harness::detached::{Detached, SERVER, eventually};
use harness::nobody::{is_root, nobodys_jaula};
use harness::small_disk::SmallDisk;
use harness::{JAULA, Place, Seen, World, can_run, see, wait};
use launch::Side;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn pid(number: &str) -> Pid {
    Pid::from_raw(number.parse().unwrap())
}

#[test]
fn one_lives_on_and_stays_found_when_it_has_ended() {
    let test = Detached::new();
    let (name, id) = test.server(0, &["--label", "tier=web"]);
    assert_eq!(test.says(&["ps", "-q"]), format!("{id}\n"));
    let listed = test.says(&["ps", "--no-trunc"]);
    for part in [&id, &name, "container", "busybox", "Up ", "while :; do"] {
        assert!(listed.contains(part), "{part} is not in {listed}");
    }
    assert_eq!(test.says(&["stop", &name]), format!("{name}\n"));
    assert_eq!(test.says(&["ps", "-q"]), "");
    assert!(test.says(&["ps", "-a"]).contains("Exited (3)"));
    assert_eq!(test.says(&["logs", &name]), "up\nasked\n");
    // It has been stopped, and waited for, already.
    assert_eq!(test.says(&["stop", &id]), format!("{name}\n"));
    assert_eq!(test.says(&["wait", &id[..8]]), "3\n");
    assert_eq!(test.says(&["rm", &id]), format!("{name}\n"));
    assert_eq!(test.says(&["ps", "-aq"]), "");
    test.world.assert_no_traces();
}

#[test]
fn a_command_that_cant_be_executed_is_told_to_the_caller_and_leaves_nothing() {
    let test = Detached::new();
    for (args, code, said) in [
        (
            &["busybox", "no-such"][..],
            127,
            "there is no command \"no-such\"",
        ),
        (&["busybox", "/etc"], 126, "can't be executed"),
        (&["no-such:image@here", "true"], 125, "no-such"),
        (&["-m", "1000t", "busybox", "true"], 125, "memory"),
    ] {
        let name = test.name(0);
        let args = [&["run", "-d", "--name", &name], args].concat();
        let seen = test.world.run(args);
        assert_eq!(seen.code, Some(code), "{}", seen.stderr);
        assert!(seen.stderr.contains(said), "{}", seen.stderr);
        assert_eq!(seen.stdout_text(), "");
        test.world.assert_no_traces();
    }
}

#[test]
fn its_name_is_taken_until_it_is_removed() {
    let test = Detached::new();
    let (name, _) = test.start(0, &[], &["true"]);
    assert_eq!(test.says(&["wait", &name]), "0\n");
    let args = ["run", "--name", &name, "busybox", "true"];
    let seen = test.world.run(args);
    assert_eq!(seen.code, Some(125));
    assert_eq!(
        seen.stderr,
        format!(
            "jaula: the name {name} is in use by an instance that has ended; remove that with \
             jaula rm, or choose another --name\n"
        )
    );
    test.says(&["rm", &name]);
    assert_eq!(test.world.run(args).code, Some(0));
}

#[test]
fn one_that_is_not_kept_is_gone_when_it_ends_and_its_end_is_told_all_the_same() {
    let test = Detached::new();
    let (name, _) = test.server(0, &["--rm"]);
    let waiting = test.world.jaula(["wait", &name]).spawn().unwrap();
    // It may not have opened the status yet; `stop` does not end what it waits for before.
    thread::sleep(Duration::from_millis(300));
    test.says(&["stop", &name]);
    let waited = waiting.wait_with_output().unwrap();
    assert_eq!(waited.stdout, b"3\n");
    assert_eq!(test.fails(&["logs", &name]), no_such(&name));
    test.world.assert_no_traces();
}

fn no_such(name: &str) -> String {
    format!("jaula: no such instance: {name}\n")
}

#[test]
fn signals_reach_it_and_the_last_one_is_sent_when_it_does_not_end() {
    let test = Detached::new();
    let (polite, _) = test.server(0, &[]);
    test.says(&["kill", "-s", "USR1", &polite]);
    test.await_log(&polite, "up\npoked\n");
    let stubborn = "trap : TERM INT; echo up; while :; do sleep 0.1; done";
    let (stubborn, _) = test.start(1, &["--stop-signal", "INT"], &["sh", "-c", stubborn]);
    let start = Instant::now();
    let both = test.says(&["stop", "-t", "1", &polite, &stubborn]);
    assert_eq!(both, format!("{polite}\n{stubborn}\n"));
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(test.says(&["wait", &polite, &stubborn]), "3\n137\n");
    let (killed, _) = test.server(2, &[]);
    assert_eq!(test.says(&["kill", &killed]), format!("{killed}\n"));
    assert_eq!(test.says(&["wait", &killed]), "137\n");
    let said = test.fails(&["kill", &killed]);
    assert_eq!(said, format!("jaula: instance {killed} is not running\n"));
    test.says(&["rm", &polite, &stubborn, &killed]);
    test.world.assert_no_traces();
}

#[test]
fn what_is_not_there_is_said_and_the_rest_is_done() {
    let test = Detached::new();
    let (name, _) = test.server(0, &["--rm"]);
    for command in [
        "logs", "stop", "kill", "wait", "rm", "inspect", "stats", "pause",
    ] {
        let args = match command {
            "inspect" => vec![command, "-f", ".Id", "none"],
            _ => vec![command, "none"],
        };
        assert_eq!(test.fails(&args), no_such("none"), "{command}");
    }
    assert_eq!(test.fails(&["stop", "../run"]), no_such("../run"));
    let seen = test.world.run(["stop", "none", &name]);
    assert_eq!(seen.code, Some(1));
    assert_eq!(
        (seen.stdout_text(), seen.stderr),
        (format!("{name}\n"), no_such("none"))
    );
    test.world.assert_no_traces();
}

#[test]
fn one_that_runs_is_removed_by_force_only_and_once() {
    let test = Detached::new();
    let (name, _) = test.server(0, &[]);
    let said = test.fails(&["rm", &name]);
    assert!(
        said.contains("is running; stop it first, or add --force"),
        "{said}"
    );
    let removals: Vec<Child> = (0..4)
        .map(|_| test.world.jaula(["rm", "-f", &name]).spawn().unwrap())
        .collect();
    for removal in removals {
        let seen = removal.wait_with_output().unwrap();
        let said = String::from_utf8(seen.stderr).unwrap();
        assert!(said.is_empty() || said == no_such(&name), "{said}");
    }
    test.world.assert_no_traces();
}

#[test]
fn one_with_a_caller_is_found_too() {
    let test = Detached::new();
    let name = test.name(0);
    let args = ["run", "--name", &name, "busybox", "sh", "-c", SERVER];
    let mut caller = test.world.jaula(args).spawn().unwrap();
    eventually(|| test.world.run(["ps"]).stdout_text().contains(&name));
    let mut up = [0; 3];
    caller.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
    let said = test.fails(&["logs", &name]);
    assert!(said.contains("what it says went to its caller"), "{said}");
    let waiting = test.world.jaula(["wait", &name]).spawn().unwrap();
    thread::sleep(Duration::from_millis(300));
    test.says(&["stop", &name]);
    assert_eq!(wait(&mut caller).code(), Some(3));
    assert_eq!(waiting.wait_with_output().unwrap().stdout, b"3\n");
    test.world.assert_no_traces();
}

#[test]
fn logs_are_those_of_both_streams_from_where_one_likes_and_to_the_end() {
    let test = Detached::new();
    let script = "for i in 1 2 3; do echo out $i; done; echo err >&2; sleep 1; printf end";
    let (name, _) = test.start(0, &[], &["sh", "-c", script]);
    let followed = test.world.run(["logs", "-f", &name]);
    assert_eq!(followed.stdout_text(), "out 1\nout 2\nout 3\nend");
    assert_eq!(
        (followed.code, followed.stderr.as_str()),
        (Some(0), "err\n")
    );
    assert_eq!(
        test.world.run(["logs", "--tail", "1", &name]).stdout_text(),
        "end"
    );
    assert_eq!(test.world.run(["logs", "-n", "0", &name]).stdout_text(), "");
    assert_eq!(
        test.world
            .run(["logs", "--since", "2099-01-01", &name])
            .code,
        Some(125)
    );
    let later = test
        .world
        .run(["logs", "--since", "2099-01-01T00:00:00Z", &name]);
    assert_eq!(
        (later.stdout_text().as_str(), later.stderr.as_str()),
        ("", "")
    );
    let dated = test.world.run(["logs", "-t", &name]).stdout_text();
    assert!(
        dated.starts_with("20") && dated.contains("Z out 1\n"),
        "{dated}"
    );
}

#[test]
fn a_log_is_never_larger_than_its_two_files() {
    let test = Detached::new();
    let script = "yes 0123456789012345678901234567890123456789 | head -c 30000000; echo; echo end";
    let (name, _) = test.start(0, &[], &["sh", "-c", script]);
    assert_eq!(test.says(&["wait", &name]), "0\n");
    let dir = test.world.run_dir().join(&name);
    let sizes = ["log", "log.1"].map(|file| fs::metadata(dir.join(file)).unwrap().len());
    assert!(sizes.iter().all(|size| *size <= 10 << 20), "{sizes:?}");
    assert_eq!(test.says(&["logs", "--tail", "1", &name]), "end\n");
}

#[test]
fn a_full_run_directory_loses_output_and_nothing_else() {
    if !is_root() {
        return;
    }
    let world = World::new();
    let disk = SmallDisk::mount(&world.dir().join("small"));
    let name = format!("{}0", world.name_prefix());
    let jaula = |args: &[&str]| {
        let mut command = world.jaula(args.iter().copied());
        command.env("JAULA_RUN_DIR", disk.dir().join("run"));
        see(command, b"")
    };
    let script = "yes | head -c 500000; exit 7";
    let args = ["run", "-d", "--name", &name, "busybox", "sh", "-c", script];
    assert_eq!(jaula(&args).code, Some(0));
    assert_eq!(jaula(&["wait", &name]).stdout_text(), "7\n");
    assert!(jaula(&["ps", "-a"]).stdout_text().contains("Exited (7)"));
    assert!(jaula(&["logs", &name]).stdout_text().starts_with("y\ny\n"));
    assert_eq!(jaula(&["rm", &name]).code, Some(0));
}

#[test]
fn it_dies_with_its_keeper_and_the_next_run_clears_it_away() {
    let test = Detached::new();
    for flags in [&[][..], &["--rm"]] {
        let (name, _) = test.server(0, flags);
        let keeper = pid(&test.field(&name, ".State.KeeperPid"));
        let waiting = test.world.jaula(["wait", &name]).spawn().unwrap();
        thread::sleep(Duration::from_millis(300));
        kill(keeper, Signal::SIGKILL).unwrap();
        let waited = waiting.wait_with_output().unwrap();
        let said = String::from_utf8(waited.stderr).unwrap();
        assert!(
            said.contains("how instance") && waited.stdout.is_empty(),
            "{said}"
        );
        assert_eq!(test.says(&["ps", "-aq"]), "");
        assert_eq!(test.fails(&["rm", "none"]), no_such("none"));
        let next = test.world.run(["run", "busybox", "true"]);
        assert_eq!((next.code, next.stderr.as_str()), (Some(0), ""));
        test.world.assert_no_traces();
    }
}

#[test]
fn a_keeper_holds_nothing_of_its_caller() {
    let test = Detached::new();
    let name = test.name(0);
    // Descriptor 9 is one that the caller forgot to close; standard output and error are read to
    // their ends.
    let script = format!("exec 9>&1; {JAULA} run -d --name {name} busybox sleep 1000");
    let seen = see(test.world.command("sh", ["-c", &script]), b"");
    assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), ""));
    let keeper = test.field(&name, ".State.KeeperPid");
    let link = |of: &str| fs::read_link(format!("/proc/{keeper}/{of}")).unwrap();
    assert_eq!(link("cwd").to_str(), Some("/"));
    for stream in ["fd/0", "fd/1", "fd/2"] {
        assert_eq!(link(stream).to_str(), Some("/dev/null"));
    }
    let stat = fs::read_to_string(format!("/proc/{keeper}/stat")).unwrap();
    let session = stat.rsplit(')').next().unwrap().split_whitespace().nth(3);
    assert_eq!(session, Some(keeper.as_str()));
    test.says(&["rm", "-f", &name]);
    test.world.assert_no_traces();
}

#[test]
fn an_input_that_is_asked_for_stays_open() {
    let test = Detached::new();
    let (open, _) = test.start(0, &["-i"], &["cat"]);
    let (closed, _) = test.start(1, &[], &["cat"]);
    assert_eq!(test.says(&["wait", &closed]), "0\n");
    assert_eq!(test.field(&open, "{{.State.Running}}"), "true");
    test.says(&["rm", "-f", &open, &closed]);
    test.world.assert_no_traces();
}

#[test]
fn all_that_is_known_is_told() {
    let test = Detached::new();
    let flags = [
        "-m",
        "64m",
        "--label",
        "a=b",
        "-e",
        "X=1",
        "--stop-signal",
        "INT",
    ];
    let (name, id) = test.server(0, &flags);
    let told = test.says(&["inspect", &name]);
    let all: serde_json::Value = serde_json::from_str(&told).unwrap();
    let it = &all[0];
    assert_eq!(it["Id"], id.as_str());
    assert_eq!(it["Side"], "container");
    assert_eq!(it["HostConfig"]["Memory"], 64 << 20);
    assert_eq!(it["Config"]["Labels"]["a"], "b");
    assert_eq!(it["Config"]["StopSignal"], 2);
    assert!(
        it["Config"]["Env"]
            .as_array()
            .unwrap()
            .contains(&"X=1".into())
    );
    let host_pid = it["State"]["Pid"].to_string();
    let cmdline = fs::read(format!("/proc/{host_pid}/cmdline")).unwrap();
    assert!(cmdline.starts_with(b"sh\0-c\0"));
    let said = test.fails(&["inspect", "-f", ".None", &name]);
    assert!(said.contains("has no field .None"), "{said}");
    test.says(&["rm", "-f", &name]);
}

#[test]
fn a_list_is_of_what_was_asked_for() {
    let test = Detached::new();
    let (running, _) = test.start(0, &["--label", "a=1"], &["sleep", "1000"]);
    let (ended, _) = test.start(1, &["--label", "a=2"], &["sh", "-c", "exit 4"]);
    test.says(&["wait", &ended]);
    for (filters, expected) in [
        (&["label=a"][..], vec![&running]),
        (&["label=a=2"], vec![]),
        (&["status=exited"], vec![&ended]),
        (&["exited=4"], vec![&ended]),
        (&["exited=5"], vec![]),
        (&["status=exited", "status=running"], vec![&ended, &running]),
        (&["status=exited", "label=a=1"], vec![]),
        (&["name=no-such"], vec![]),
    ] {
        let mut args = vec!["ps", "--format", "json"];
        args.extend(filters.iter().flat_map(|filter| ["-f", filter]));
        let listed = test.says(&args);
        let names: Vec<_> = listed
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|row| row["Names"].as_str().unwrap().to_owned())
            .collect();
        let expected: Vec<_> = expected.into_iter().cloned().collect();
        assert_eq!(names, expected, "{filters:?}");
    }
    test.says(&["rm", "-f", &running, &ended]);
}

#[test]
fn one_that_stands_still_does_nothing_until_it_goes_on_or_is_ended() {
    let test = Detached::new();
    let script = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.05; done";
    let (name, _) = test.start(0, &[], &["sh", "-c", script]);
    test.says(&["pause", &name]);
    assert!(test.says(&["ps"]).contains("(Paused)"));
    let said = test.fails(&["pause", &name]);
    assert!(said.contains("is paused already"), "{said}");
    let before = test.world.run(["logs", &name]).stdout_text();
    thread::sleep(Duration::from_millis(500));
    assert_eq!(test.world.run(["logs", &name]).stdout_text(), before);
    test.says(&["unpause", &name]);
    eventually(|| test.world.run(["logs", &name]).stdout_text() != before);
    test.says(&["pause", &name]);
    test.says(&["rm", "-f", &name]);
    test.world.assert_no_traces();
}

#[test]
fn what_it_uses_is_told() {
    let test = Detached::new();
    let (name, id) = test.start(0, &["-m", "64m"], &["sh", "-c", "while :; do :; done"]);
    let told = test.says(&["stats", "--no-stream", "--format", "json"]);
    let row: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&row["ID"], &row["Name"]),
        (&id.into(), &name.as_str().into())
    );
    let cpu = row["CPUPerc"].as_str().unwrap().trim_end_matches('%');
    assert!(cpu.parse::<f64>().unwrap() > 1.0, "{row}");
    assert!(
        row["MemUsage"].as_str().unwrap().ends_with("/ 64.0 MiB"),
        "{row}"
    );
    assert_eq!(row["PIDs"], "1");
    test.says(&["rm", "-f", &name]);
}

#[test]
fn a_list_never_fails_while_instances_come_and_go() {
    let test = Detached::new();
    let names: Vec<_> = (0..4).map(|number| test.name(number)).collect();
    thread::scope(|scope| {
        let runs: Vec<_> = names
            .iter()
            .map(|name| {
                scope.spawn(|| {
                    for flags in [&["-d", "--rm"][..], &[], &["-d", "--rm"], &[]] {
                        let run = [&["run", "--name", name], flags, &["busybox", "true"]].concat();
                        let seen = test.world.run(run);
                        // One that is not quite gone has its name.
                        assert!([Some(0), Some(125)].contains(&seen.code), "{}", seen.stderr);
                    }
                })
            })
            .collect();
        while !runs.iter().all(thread::ScopedJoinHandle::is_finished) {
            test.says(&["ps", "-a"]);
        }
    });
    test.world.assert_no_traces();
}

#[test]
fn what_is_planted_in_the_run_directory_is_no_instance() {
    let test = Detached::new();
    let (name, _) = test.server(0, &[]);
    let run = test.world.run_dir();
    let elsewhere = test.world.dir().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::copy(run.join(&name).join("record"), elsewhere.join("record")).unwrap();
    fs::write(elsewhere.join("status"), "").unwrap();
    symlink(&elsewhere, run.join("link")).unwrap();
    fs::create_dir(run.join("half")).unwrap();
    fs::write(run.join("half/record.new"), "{\"version\":1,").unwrap();
    assert_eq!(test.says(&["ps", "-a"]).lines().count(), 2);
    for planted in ["link", "half"] {
        assert_eq!(test.fails(&["rm", "-f", planted]), no_such(planted));
    }
    assert!(elsewhere.join("record").exists());
    fs::remove_file(run.join("link")).unwrap();
    test.says(&["rm", "-f", &name]);
    // Half a start is what a killed run leaves.
    assert_eq!(test.world.run(["run", "busybox", "true"]).code, Some(0));
    test.world.assert_no_traces();
}

#[test]
fn a_start_that_is_called_off_leaves_nothing() {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let test = Detached::new();
    let name = test.name(0);
    let run = [
        "run", "-d", "--as", "vm", "--start", "cold", "--name", &name,
    ];
    let mut child = test
        .world
        .jaula([&run[..], &["busybox", "sleep", "1000"]].concat())
        .spawn()
        .unwrap();
    eventually(|| test.world.run_dir().join(&name).exists());
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    assert_eq!(wait(&mut child).code(), Some(130));
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(said, "jaula: interrupted by SIGINT\n");
    test.world.assert_no_traces();
}

#[test]
fn a_vm_is_dealt_with_as_a_container_is() {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let test = Detached::new();
    let vm = ["--as", "vm", "--start", "warm"];
    let (name, id) = test.server(0, &vm);
    assert!(test.says(&["ps"]).contains("vm"));
    test.says(&["kill", "-s", "USR1", &name]);
    test.await_log(&name, "up\npoked\n");
    test.says(&["pause", &id]);
    assert!(test.says(&["ps"]).contains("(Paused)"));
    test.says(&["unpause", &id]);
    let told = test.says(&["stats", "--no-stream", "--format", "json", &name]);
    assert!(told.contains("MiB / "), "{told}");
    let monitor = test.field(&name, ".State.Pid");
    let comm = fs::read_to_string(format!("/proc/{monitor}/comm")).unwrap();
    assert_eq!(comm, "jaula-monitor\n");
    assert_eq!(test.says(&["stop", &name]), format!("{name}\n"));
    assert_eq!(test.says(&["wait", &name]), "3\n");
    assert_eq!(test.says(&["logs", &name]), "up\npoked\nasked\n");
    assert_eq!(test.says(&["rm", &name]), format!("{name}\n"));
    let refused = [
        &["run", "-d"][..],
        &vm,
        &["--name", &name, "busybox", "no-such"],
    ]
    .concat();
    let seen = test.world.run(refused);
    assert_eq!((seen.code, seen.stdout_text().as_str()), (Some(127), ""));
    test.world.assert_no_traces();
}

#[test]
fn a_guest_that_hangs_is_asked_to_end_and_then_killed() {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let test = Detached::new();
    let name = test.name(0);
    let kernel = test.world.dir().join("kernel");
    fs::write(&kernel, guest::Guest::default().loops().image()).unwrap();
    let run = ["run", "--as", "vm", "--start", "cold", "--name", &name];
    let kernel = ["--kernel", kernel.to_str().unwrap(), "busybox", "true"];
    let mut caller = test.world.jaula([run.as_slice(), &kernel].concat());
    let mut caller = caller.spawn().unwrap();
    eventually(|| test.world.run(["ps"]).stdout_text().contains(&name));
    assert_eq!(test.says(&["stop", "-t", "1", &name]), format!("{name}\n"));
    // Nothing that the guest said ended it.
    assert_eq!(wait(&mut caller).code(), Some(125));
    test.world.assert_no_traces();
}

#[test]
fn an_ordinary_user_has_all_of_it() {
    if !is_root() {
        return;
    }
    let test = Detached::new();
    let jaula = nobodys_jaula(&test.world);
    let nobody = |args: &[&str]| -> Seen {
        let setpriv = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];
        let args = [&setpriv[..], &[jaula.to_str().unwrap()], args].concat();
        let mut command = test.world.command("setpriv", args);
        command.env("JAULA_CACHE_DIR", test.world.dir().join("cache"));
        see(command, b"")
    };
    let name = test.name(0);
    let run = ["run", "-d", "--name", &name, "busybox", "sh", "-c", SERVER];
    let started = nobody(&run);
    assert_eq!(started.code, Some(0), "{}", started.stderr);
    eventually(|| nobody(&["logs", &name]).stdout_text() == "up\n");
    assert_eq!(nobody(&["stop", &name]).stdout_text(), format!("{name}\n"));
    assert_eq!(nobody(&["wait", &name]).stdout_text(), "3\n");
    let removed = nobody(&["rm", &name]);
    assert_eq!(removed.code, Some(0), "{}", removed.stderr);
    test.world.assert_no_traces();
}
