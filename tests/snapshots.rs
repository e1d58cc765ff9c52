//! A VM is saved while its command runs, and goes on; so do copies of it.

#![allow(clippy::unwrap_used)]

mod harness;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use harness::counter::Counter;
use harness::cpu_quota::cpu_quota;
use harness::{World, see, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Saves the instance; it has to work.
fn save(world: &World, instance: &str, name: &str) {
    let saved = world.run(["snapshot", "create", instance, name]);
    assert_eq!(saved.stdout_text(), format!("{name}\n"), "{}", saved.stderr);
    assert_eq!((saved.code, saved.stderr.as_str()), (Some(0), ""));
}

/// The names of what there is in the directory of snapshots.
fn kept(world: &World) -> Vec<String> {
    let entries = fs::read_dir(world.dir().join("data/snapshots"));
    let names = entries.into_iter().flatten();
    names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn a_copy_goes_on_from_where_it_was_saved_and_so_does_the_original() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let name = format!("{}0", world.name_prefix());
    let mut original = Counter::start(&world, &name);
    assert_eq!(original.say("a"), "a 1");
    assert_eq!(original.say("b"), "b 2");
    save(&world, &name, "halfway");
    assert_eq!(original.say("c"), "c 3");
    let mut copy = Counter::restore(&world, "halfway");
    assert_eq!(copy.say("x"), "x 3");
    // It can be saved again, as often as one likes.
    save(&world, &name, "later");
    assert_eq!(copy.say("y"), "y 4");
    assert_eq!(copy.say("z"), "z 5");
    assert_eq!(original.say("d"), "d 4");
    let mut later = Counter::restore(&world, "later");
    assert_eq!(later.say("x"), "x 4");
    let ended = [original, copy, later].map(|counter| counter.end());
    let silent = |code| (Some(code), String::new());
    // Where each saw the end of its input.
    assert_eq!(ended, [4, 5, 4].map(silent));
    world.assert_no_traces();
}

#[test]
fn a_copy_can_be_saved_too() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let name = format!("{}0", world.name_prefix());
    let mut original = Counter::start(&world, &name);
    assert_eq!(original.say("a"), "a 1");
    save(&world, &name, "first");
    assert_eq!(original.end(), (Some(1), String::new()));
    let again = format!("{}1", world.name_prefix());
    let restore = ["snapshot", "restore", "-i", "--name", &again, "first"];
    let mut copy = Counter::from(world.jaula(restore));
    assert_eq!(copy.say("b"), "b 2");
    save(&world, &again, "second");
    // What a copy runs on may be removed.
    let removed = world.run(["snapshot", "rm", "first"]);
    assert_eq!(removed.code, Some(0), "{}", removed.stderr);
    assert_eq!(copy.say("c"), "c 3");
    let mut of_copy = Counter::restore(&world, "second");
    assert_eq!(of_copy.say("x"), "x 3");
    assert_eq!(copy.end().0, Some(3));
    assert_eq!(of_copy.end().0, Some(3));
    world.assert_no_traces();
}

#[test]
fn a_copy_of_a_machine_with_two_processors_runs_on_both() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let name = format!("{}0", world.name_prefix());
    // Says where two programs ran, each of which may be on one processor only.
    let script = "n=0; while read line; do [ $line = end ] && exit $n; n=$((n + 1)); \
        echo $line $n $(for mask in 1 2; do taskset $mask cut -d' ' -f39 /proc/self/stat; done); \
        done";
    let run = ["run", "-i", "--as", "vm", "--cpus", "2", "--name", &name];
    let command = ["busybox", "sh", "-c", script];
    let mut original = Counter::from(world.jaula([&run[..], &command].concat()));
    assert_eq!(original.say("a"), "a 1 0 1");
    save(&world, &name, "halfway");
    let mut copy = Counter::restore(&world, "halfway");
    assert_eq!(copy.say("x"), "x 2 0 1");
    assert_eq!(original.say("b"), "b 2 0 1");
    assert_eq!(copy.end(), (Some(2), String::new()));
    assert_eq!(original.end(), (Some(2), String::new()));
    world.assert_no_traces();
}

#[test]
fn a_copy_may_use_as_much_of_the_host_as_the_saved_one() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let [name, other] = [0, 1].map(|number| format!("{}{number}", world.name_prefix()));
    let run = ["run", "-i", "--as", "vm", "--start", "warm", "--name"];
    let limits = ["--cpus", "0.5", "--cpuset-cpus", "0"];
    let command = ["busybox", "sh", "-c", harness::counter::COUNTER];
    let args = [&run[..], &[&name], &limits, &command].concat();
    let mut original = Counter::from(world.jaula(args));
    assert_eq!(original.say("a"), "a 1");
    save(&world, &name, "limited");
    let restore = ["snapshot", "restore", "-i", "--name", &other, "limited"];
    let mut copy = Counter::from(world.jaula(restore));
    assert_eq!(copy.say("b"), "b 2");
    let [asked, of_copy] = [&name, &other].map(|name| {
        let show = ".HostConfig.Memory .HostConfig.NanoCpus .HostConfig.CpusetCpus .State.Pid";
        let show = show.split(' ');
        let shown = show.map(|key| {
            let seen = world.run(["inspect", "-f", key, name]);
            assert_eq!(seen.code, Some(0), "{}", seen.stderr);
            seen.stdout_text().trim().to_owned()
        });
        let [memory, cpus, cpuset, pid] = shown.collect::<Vec<_>>().try_into().unwrap();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let allowed = status
            .lines()
            .find(|line| line.starts_with("Cpus_allowed_list"));
        (
            [memory, cpus, cpuset],
            allowed.map(str::to_owned),
            cpu_quota(&pid),
        )
    });
    assert_eq!(asked.0, ["134217728", "500000000", "0"]);
    assert_eq!(of_copy, asked);
    assert_eq!(of_copy.2, 0.5);
    assert_eq!(original.end().0, Some(1));
    assert_eq!(copy.end().0, Some(2));
}

/// Starts a command in a VM, reads its first line from standard output, saves it under the name
/// `saved`, and kills it.
fn saved(world: &World, script: &str) {
    let name = format!("{}0", world.name_prefix());
    let run = [
        "run", "-i", "--as", "vm", "--start", "warm", "--name", &name,
    ];
    let command = ["busybox", "sh", "-c", script];
    let mut child = world
        .jaula([&run[..], &command].concat())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut up = [0; 3];
    child.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
    save(world, &name, "saved");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_signal_reaches_a_command_that_goes_on() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let script = "trap 'echo caught; exit 9' TERM; echo up; while :; do sleep 0.2; done";
    saved(&world, script);
    let name = format!("{}1", world.name_prefix());
    let mut copy = world
        .jaula(["snapshot", "restore", "--name", &name, "saved"])
        .spawn()
        .unwrap();
    // Made after signals are held back.
    while !world.run_dir().join(&name).exists() {
        assert_eq!(copy.try_wait().unwrap(), None);
        thread::sleep(Duration::from_millis(1));
    }
    kill(
        Pid::from_raw(copy.id().try_into().unwrap()),
        Signal::SIGTERM,
    )
    .unwrap();
    assert_eq!(wait(&mut copy).code(), Some(9));
    let mut said = String::new();
    copy.stdout.unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "caught\n");
    world.assert_no_traces();
}

#[test]
fn without_interactive_a_command_that_goes_on_finds_nothing_more_to_read() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    saved(&world, "echo up; cat; exit 5");
    let seen = see(world.jaula(["snapshot", "restore", "saved"]), b"unread");
    assert_eq!(
        (seen.code, seen.stdout_text().as_str(), seen.stderr.as_str()),
        (Some(5), "", "")
    );
}

#[test]
fn copies_that_go_on_at_once_have_random_numbers_of_their_own_and_the_time() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    // The pause: a command goes on before its PID 1 has heard of it.
    let script = "echo up; read x; sleep 2; head -c 16 /dev/urandom | od -An -v -tx1; date +%s";
    saved(&world, script);
    // So that a clock that goes on from where it was saved is wrong.
    thread::sleep(Duration::from_secs(4));
    let start = || -> Child {
        let restore = ["snapshot", "restore", "-i", "saved"];
        let mut child = world.jaula(restore).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        child
    };
    let before_s = now_s();
    let said = [start(), start()].map(|copy| {
        let output = copy.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    });
    let after_s = now_s();
    let [[one, date], [other, other_date]] = said.each_ref().map(|said| {
        let lines: Vec<_> = said.lines().collect();
        <[&str; 2]>::try_from(lines).unwrap()
    });
    assert_ne!(one, other);
    for date in [date, other_date] {
        let date_s: u64 = date.parse().unwrap();
        assert!(
            (before_s - 1..=after_s + 1).contains(&date_s),
            "{date_s} is not between {before_s} and {after_s}"
        );
    }
}

fn now_s() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_secs()
}

#[test]
fn what_is_saved_is_for_its_owner_alone() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    saved(&world, "echo up; read x");
    let mode = |path: &str| {
        let path = world.dir().join("data").join(path);
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode("snapshots"), 0o700);
    assert_eq!(mode("snapshots/saved/memory"), 0o600);
    assert_eq!(mode("snapshots/saved/state"), 0o600);
}

#[test]
fn what_can_not_be_saved_is_refused_and_leaves_nothing() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let [vm, container] = [0, 1].map(|number| format!("{}{number}", world.name_prefix()));
    let mut counter = Counter::start(&world, &vm);
    assert_eq!(counter.say("a"), "a 1");
    save(&world, &vm, "taken");
    let run = ["run", "-i", "--name", &container, "busybox", "cat"];
    let mut contained = Counter::from(world.jaula(run));
    assert_eq!(contained.say("here"), "here");
    for (instance, name, why) in [
        (
            "unknown",
            "new",
            "there is no running virtual machine unknown",
        ),
        (&container, "new", "there is no running virtual machine"),
        (&vm, "taken", "there is a snapshot taken already"),
    ] {
        let seen = world.run(["snapshot", "create", instance, name]);
        assert_eq!(seen.code, Some(125), "{instance}: {}", seen.stderr);
        assert_eq!(seen.stderr.lines().count(), 1, "{}", seen.stderr);
        assert!(seen.stderr.contains(why), "{}", seen.stderr);
        // What to do about it.
        assert!(seen.stderr.contains("; "), "{}", seen.stderr);
        assert_eq!(seen.stdout_text(), "");
        assert_eq!(kept(&world), ["taken"]);
    }
    assert_eq!(counter.say("b"), "b 2");
    assert_eq!(counter.end(), (Some(2), String::new()));
    assert_eq!(contained.end(), (Some(0), String::new()));
    world.assert_no_traces();
}

#[test]
fn a_command_that_has_ended_is_not_saved_while_its_output_is_still_to_be_read() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let name = format!("{}0", world.name_prefix());
    // More than a pipe holds, and less than what is on the way besides.
    let script = "head -c 100000 /dev/zero; echo done >&2";
    let run = ["run", "--as", "vm", "--start", "warm", "--name", &name];
    let command = ["busybox", "sh", "-c", script];
    let mut child = world.jaula([&run[..], &command].concat()).spawn().unwrap();
    let mut done = [0; 5];
    child
        .stderr
        .as_mut()
        .unwrap()
        .read_exact(&mut done)
        .unwrap();
    // A moment before its end, it can still be saved.
    let deadline = Instant::now() + Duration::from_secs(60);
    let refused = loop {
        let seen = world.run(["snapshot", "create", &name, "late"]);
        if seen.stderr.contains("its command has ended") {
            break seen;
        }
        if seen.code == Some(0) {
            world.run(["snapshot", "rm", "late"]);
        }
        assert_eq!(child.try_wait().unwrap(), None);
        assert!(Instant::now() < deadline, "{}", seen.stderr);
        thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(refused.code, Some(125));
    assert_eq!(kept(&world), Vec::<String>::new());
    let mut output = Vec::new();
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_to_end(&mut output)
        .unwrap();
    assert_eq!((output.len(), wait(&mut child).code()), (100_000, Some(0)));
}

#[test]
fn a_vm_that_still_boots_is_not_saved() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let name = format!("{}0", world.name_prefix());
    let run = ["run", "--as", "vm", "--start", "cold", "--name", &name];
    let mut child = world
        .jaula([&run[..], &["busybox", "sleep", "1000"]].concat())
        .spawn()
        .unwrap();
    while !world.run_dir().join(&name).join("requests").exists() {
        assert_eq!(child.try_wait().unwrap(), None);
        thread::sleep(Duration::from_millis(1));
    }
    let seen = world.run(["snapshot", "create", &name, "early"]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(seen.code, Some(125), "{}", seen.stderr);
    assert_eq!(seen.stderr.lines().count(), 1, "{}", seen.stderr);
    for word in ["its command has not begun yet", "; try again"] {
        assert!(seen.stderr.contains(word), "{}", seen.stderr);
    }
    assert_eq!(kept(&world), Vec::<String>::new());
}
