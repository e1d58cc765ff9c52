//! How the command line behaves before, beside and after the command.

#![allow(clippy::unwrap_used)]

mod harness;

use std::fs::File;
use std::io::Read;
use std::process::Stdio;

use harness::nobody::{is_root, run_as_nobody};
use harness::{JAULA, Seen, World, can_run, see, wait};
use launch::Side;

fn jaula(args: &[&str]) -> Seen {
    World::new().run(args.iter().copied())
}

#[test]
fn help_and_version_are_answers_and_no_errors() {
    for args in [
        &["--help"][..],
        &["-h"],
        &["--version"],
        &["help"],
        &["run", "--help"],
        &["compare", "--help"],
        &["doctor", "--help"],
        &["kernel", "--help"],
        &["kernel", "build", "--help"],
        &["snapshot", "--help"],
        &["template", "--help"],
        &["template", "build", "--help"],
        &["snapshot", "create", "--help"],
        &["snapshot", "restore", "--help"],
        &["snapshot", "inspect", "--help"],
    ] {
        let seen = jaula(args);
        assert_eq!(seen.code, Some(0), "{args:?}");
        assert_eq!(seen.stderr, "", "{args:?}");
        assert!(!seen.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn every_flag_is_explained() {
    let help = jaula(&["run", "--help"]).stdout_text();
    for flag in [
        "-e, --env",
        "-w, --workdir",
        "-u, --user",
        "-h, --hostname",
        "-m, --memory",
        "--cpus",
        "--pids-limit",
        "--read-only",
        "--entrypoint",
        "-i, --interactive",
        "--name",
        "--rm",
        "--rootfs",
        "--kernel",
        "--as",
        "--start",
    ] {
        assert!(help.contains(flag), "{flag}");
    }
    assert!(help.contains("Examples:"));
}

#[test]
fn what_makes_no_sense_is_125_and_one_line() {
    for args in [
        &[][..],
        &["no-such-subcommand"],
        &["run"],
        &["run", "--no-such-flag", "busybox"],
        &["run", "--as", "jail", "busybox"],
        &["run", "-e", "=x", "busybox"],
        &["run", "-u", "", "busybox"],
        &["run", "-h", "no_host", "busybox"],
        &["run", "--cpus", "none", "busybox"],
        &["run", "--pids-limit", "-2", "busybox"],
        &["run", "--name", "../x", "busybox"],
        &["run", "-w", "relative", "busybox"],
        &["run", "--entrypoint", "", "busybox"],
        &["kernel"],
        &["snapshot", "rm"],
        &["template"],
        &["template", "rm"],
        &["template", "rm", "--all", "x"],
        &["run", "--as", "vm", "--start", "tepid", "busybox"],
        &["snapshot", "inspect", "../x"],
        &["snapshot", "create", "running"],
        &["snapshot", "create", "running", "../x"],
        &["snapshot", "restore"],
        &["snapshot", "restore", "--as", "vm", "x"],
    ] {
        let seen = jaula(args);
        assert_eq!(seen.code, Some(125), "{args:?}");
        assert_eq!(seen.stderr.lines().count(), 1, "{args:?}: {}", seen.stderr);
        assert!(seen.stderr.starts_with("jaula: "), "{}", seen.stderr);
        assert_eq!(seen.stdout, b"", "{args:?}");
    }
}

#[test]
fn flags_and_dashes_after_the_image_are_the_commands() {
    for (args, stdout) in [
        (&["busybox", "echo", "-e", "-h", "--"][..], "-h --\n"),
        (&["busybox", "--", "echo", "--", "x"], "-- x\n"),
        (&["--rm", "busybox", "echo", "--as", "vm"], "--as vm\n"),
        (&["--entrypoint", "echo", "busybox", "a", "b"], "a b\n"),
    ] {
        let seen = jaula(&[&["run"], args].concat());
        assert_eq!(seen.stdout_text(), stdout, "{args:?}: {}", seen.stderr);
        assert_eq!(seen.code, Some(0));
        assert_eq!(seen.stderr, "");
    }
}

#[test]
fn the_images_own_command_runs_when_none_is_given() {
    let world = World::new();
    let seen = see(
        world.jaula(["run", "-i", "busybox"]),
        b"echo from the shell\n",
    );
    assert_eq!(seen.stdout_text(), "from the shell\n");
}

#[test]
fn a_variable_without_a_value_has_the_callers() {
    let world = World::new();
    let mut command = world.jaula(["run", "-e", "FROM_HERE", "-e", "NOT_HERE", "busybox", "env"]);
    command.env("FROM_HERE", "x y").env_remove("NOT_HERE");
    let stdout = see(command, b"").stdout_text();
    assert!(stdout.contains("FROM_HERE=x y\n"), "{stdout}");
    assert!(!stdout.contains("NOT_HERE"), "{stdout}");
}

#[test]
fn without_interactive_there_is_nothing_to_read() {
    let world = World::new();
    let seen = see(world.jaula(["run", "busybox", "cat"]), b"unread");
    assert_eq!((seen.code, &seen.stdout[..]), (Some(0), &b""[..]));
}

#[test]
fn a_stream_that_was_closed_is_the_null_device_for_the_command() {
    let world = World::new();
    for closing in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
        let script =
            format!("exec {JAULA} run -i busybox sh -c 'echo out; echo err >&2' {closing}");
        let seen = see(world.command("sh", ["-c", &script]), b"");
        assert_eq!(seen.code, Some(0), "{closing}: {}", seen.stderr);
        let stdout = if closing.contains(" >&-") || closing == ">&-" {
            ""
        } else {
            "out\n"
        };
        assert_eq!(seen.stdout_text(), stdout, "{closing}");
    }
}

#[test]
fn the_command_never_gets_the_terminal() {
    let world = World::new();
    // script(1) gives jaula a terminal and shows what appears on it.
    let line = format!("{JAULA} run -i busybox sh -c 'tty; test -t 1 || echo apart'");
    let seen = see(world.command("script", ["-qec", &line, "/dev/null"]), b"");
    assert_eq!(
        seen.stdout_text(),
        "not a tty\r\napart\r\n",
        "{}",
        seen.stderr
    );
}

#[test]
fn a_reader_that_goes_away_ends_jaulas_own_output_in_silence() {
    let world = World::new();
    let mut child = world.jaula(["run", "--help"]).spawn().unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    let mut pipe = child.stderr.take().unwrap();
    wait(&mut child);
    pipe.read_to_string(&mut stderr).unwrap();
    assert_eq!(stderr, "");
}

#[test]
fn what_could_not_be_written_is_named() {
    let mut command = World::new().jaula(["ps"]);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut child = command.stdout(full).spawn().unwrap();
    let mut stderr = String::new();
    let mut pipe = child.stderr.take().unwrap();
    assert_eq!(wait(&mut child).code(), Some(125));
    pipe.read_to_string(&mut stderr).unwrap();
    assert!(
        stderr.starts_with("jaula: can't write to standard output: No space left"),
        "{stderr}"
    );
}

#[test]
fn without_an_image_no_other_subcommand_is_named() {
    for subcommand in ["run", "compare", "explain"] {
        assert_eq!(
            jaula(&[subcommand]).stderr,
            "jaula: no image given; give an image or --rootfs DIR\n"
        );
    }
}

#[test]
fn a_name_is_in_use_while_its_instance_runs() {
    let world = World::new();
    let mut first = world
        .jaula([
            "run",
            "-i",
            "--name",
            "only",
            "busybox",
            "sh",
            "-c",
            "echo up; read x",
        ])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut up = [0; 3];
    first.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
    let second = world.run(["run", "--name", "only", "busybox", "true"]);
    drop(first.stdin.take());
    wait(&mut first);
    assert_eq!(second.code, Some(125));
    assert!(second.stderr.contains("only"), "{}", second.stderr);
    let third = world.run(["run", "--name", "only", "busybox", "true"]);
    assert_eq!(third.code, Some(0), "{}", third.stderr);
}

#[test]
fn an_ordinary_user_runs_a_container_without_any_set_up() {
    if !is_root() {
        return;
    }
    let world = World::new();
    let script = "id -u; hostname; echo x > /file && cat /file; exit 7";
    let seen = run_as_nobody(&world, &["run", "busybox", "sh", "-c", script]);
    assert_eq!(seen.stdout_text(), "0\njaula\nx\n", "{}", seen.stderr);
    assert_eq!((seen.code, seen.stderr.as_str()), (Some(7), ""));
    world.assert_no_traces();
}

#[test]
fn the_doctor_names_both_sides_and_tells_by_its_exit_code_whether_they_launch() {
    let seen = jaula(&["doctor"]);
    let report = seen.stdout_text();
    assert!(
        report.contains("container\n") && report.contains("vm\n"),
        "{report}"
    );
    let all_well = !report.contains('✗');
    assert_eq!(seen.code, Some(if all_well { 0 } else { 1 }), "{report}");
}

#[test]
fn without_snapshots_the_list_of_them_is_empty() {
    let seen = jaula(&["snapshot", "ls"]);
    assert_eq!(
        seen.stdout_text(),
        "NAME   MEMORY   SIZE   CREATED   STATE\n",
        "{}",
        seen.stderr
    );
    assert_eq!(seen.code, Some(0));
}

#[test]
fn a_template_is_listed_until_it_is_removed() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    // Of a size that no other test needs.
    let built = world.run(["template", "build", "-m", "48m"]);
    assert_eq!(built.code, Some(0), "{}", built.stderr);
    let name = built.stdout_text();
    let name = name.trim_end();
    let listed = |world: &World| world.run(["template", "ls"]).stdout_text();
    let list = listed(&world);
    let line = list.lines().find(|line| line.starts_with(name));
    let line = line.unwrap_or_else(|| panic!("no {name} in {list}"));
    assert!(line.contains(" 48.0 MiB "), "{line}");
    assert!(line.ends_with(" current"), "{line}");
    let removed = world.run(["template", "rm", name]);
    assert_eq!(
        removed.stdout_text(),
        format!("{name}\n"),
        "{}",
        removed.stderr
    );
    assert!(!listed(&world).contains(name));
}

#[test]
fn of_a_child_without_memory_nothing_is_said_if_the_command_ends_well() {
    if !is_root() || !can_run(Side::Container) {
        return;
    }
    let script = "tail /dev/zero; exit 0";
    let seen = jaula(&["run", "-m", "32m", "busybox", "sh", "-c", script]);
    assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), "Killed\n"));
}
