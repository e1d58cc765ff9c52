//! What the command is given, and what becomes of its end.

use std::io::{Read, Write};
use std::thread;

use launch::{Credentials, ExitStatus, Stdio};
use nix::unistd::{getegid, geteuid};

use crate::world::{World, is_root, pipe};

#[test]
fn the_commands_own_exit_code_is_handed_on() {
    let world = World::new();
    for code in [0, 1, 42, 255] {
        let status = world.status_of(&["sh", "-c", &format!("exit {code}")]);
        assert_eq!(status, ExitStatus::Exited(code));
    }
}

#[test]
fn env_cwd_hostname_and_arguments_reach_the_command() {
    let world = World::new();
    let script = r#"echo "$GREETING $# $1"; pwd; hostname; umask; env | wc -l"#;
    let workload = world.workload_as(
        &["sh", "-c", script, "sh", "a b", ""],
        "/made/when/missing",
        Credentials::default(),
    );
    let outcome = world.run(&workload).unwrap();
    assert_eq!(
        outcome.stdout,
        // The two that were given, and PWD and SHLVL, which the shell sets.
        "hello 2 a b\n/made/when/missing\ntesthost\n0022\n4\n"
    );
    assert_eq!(outcome.stderr, "");
}

#[test]
fn the_user_is_the_one_that_was_asked_for() {
    if !is_root("users and groups of a container") {
        return;
    }
    let world = World::new();
    let credentials = Credentials {
        uid: 1000,
        gid: 1001,
        groups: vec![7, 8],
    };
    let workload = world.workload_as(&["id"], "/", credentials);
    let outcome = world.run(&workload).unwrap();
    assert_eq!(outcome.stdout, "uid=1000 gid=1001 groups=7,8,1001\n");
}

#[test]
fn an_ordinary_users_files_belong_to_whoever_the_command_runs_as() {
    if geteuid().is_root() {
        eprintln!("SKIPPED, needs an ordinary user: ownership in a user namespace");
        return;
    }
    let world = World::new();
    let credentials = Credentials {
        uid: 5,
        gid: 6,
        groups: Vec::new(),
    };
    let script = "id -u; id -g; stat -c '%u %g' /bin/busybox; touch /new; stat -c '%u %g' /new";
    let workload = world.workload_as(&["sh", "-c", script], "/", credentials);
    assert_eq!(world.run(&workload).unwrap().stdout, "5\n6\n5 6\n5 6\n");
    assert_ne!((geteuid().as_raw(), getegid().as_raw()), (5, 6));
}

#[test]
fn an_ordinary_user_is_told_that_groups_can_not_be_set() {
    if geteuid().is_root() {
        eprintln!("SKIPPED, needs an ordinary user: groups that can't be set");
        return;
    }
    let world = World::new();
    let credentials = Credentials {
        groups: vec![7],
        ..Credentials::default()
    };
    let error = world
        .run(&world.workload_as(&["id"], "/", credentials))
        .unwrap_err();
    assert!(error.to_string().contains("groups"), "{error}");
    assert!(error.remedy().is_some());
}

#[test]
fn standard_streams_carry_every_byte_and_are_kept_apart() {
    let world = World::new();
    let (stdin_reader, stdin) = std::io::pipe().unwrap();
    let (mut stdout, stdout_end) = pipe();
    let (mut stderr, stderr_end) = pipe();
    let stdio = Stdio {
        stdin: stdin_reader.into(),
        stdout: stdout_end,
        stderr: stderr_end,
    };
    let workload = world.workload(&["sh", "-c", "echo problem >&2; cat"]);
    let instance = world.launch(&workload, stdio).unwrap();
    let sent: Vec<u8> = (0..1 << 20).map(|n: u32| (n % 251) as u8).collect();
    let writer = thread::spawn({
        let sent = sent.clone();
        let mut stdin = stdin;
        move || stdin.write_all(&sent).unwrap()
    });
    let mut received = Vec::new();
    stdout.read_to_end(&mut received).unwrap();
    writer.join().unwrap();
    let mut problem = String::new();
    stderr.read_to_string(&mut problem).unwrap();
    assert!(received == sent);
    assert_eq!(problem, "problem\n");
    assert_eq!(instance.wait(None).unwrap(), Some(ExitStatus::Exited(0)));
}

#[test]
fn the_timeline_has_all_spans_and_reaches_main() {
    let world = World::new();
    let instance = world
        .launch(&world.workload(&["true"]), Stdio::null().unwrap())
        .unwrap();
    assert!(instance.wait_main().unwrap());
    instance.wait(None).unwrap();
    let timeline = instance.timeline();
    let names: Vec<_> = timeline
        .spans()
        .iter()
        .map(|span| span.name.as_ref())
        .collect();
    assert_eq!(
        names,
        [
            "cgroup", "clone", "join", "network", "mounts", "exec", "run"
        ]
    );
    assert!(timeline.launch_to_main_ns() > Some(0));
}
