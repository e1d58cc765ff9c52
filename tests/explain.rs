//! `jaula explain`: what is told is what happened.

#![allow(clippy::unwrap_used)]

mod harness;

use std::fs;
use std::io::Read;
use std::process::Child;
use std::thread;
use std::time::Duration;

use harness::{World, can_run, wait};
use launch::Side;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Half of a page, line by line: that of the container is on the left.
fn halves(page: &str) -> (String, String) {
    let mut halves = (String::new(), String::new());
    for line in page.lines() {
        if let Some((left, right)) = line.split_once('│') {
            halves.0 += &format!("{} ", left.trim());
            halves.1 += &format!("{} ", right.trim());
        }
    }
    halves
}

#[test]
fn each_side_is_told_with_its_calls_and_where_they_are_made() {
    if !can_run(Side::Vm) {
        return;
    }
    let world = World::new();
    let seen = world.run([
        "explain",
        "--start",
        "warm",
        "-m",
        "128m",
        "--pids-limit",
        "64",
        "busybox",
        "echo",
        "said by the command",
    ]);
    let text = seen.stdout_text();
    assert_eq!(seen.code, Some(0), "{} {text}", seen.stderr);
    // Each side's command ran.
    assert_eq!(text.matches("said by the command\n").count(), 2, "{text}");
    let (container, vm) = halves(&text);
    for (half, expected) in [
        (&container, "clone3(CLONE_NEWNS"),
        (&container, "pivot_root(\".\", \".\")"),
        (&container, "SECCOMP_SET_MODE_FILTER"),
        (&container, "execve(\"/bin/echo\")"),
        (&container, "[container/src/clone.rs]"),
        (&container, "[entry/src/rootfs.rs]"),
        (&container, "[host/src/cgroup/make.rs]"),
        (&container, "the host's, which runs already."),
        (&vm, "execve(\"/proc/self/exe\")"),
        (&vm, "KVM_CREATE_VM"),
        (&vm, "KVM_SET_USER_MEMORY_REGION"),
        (&vm, "pivot_root(\".\", \".\")"),
        (&vm, "[vmm/src/jail/filter/table.rs]"),
        (&vm, "KVM_RUN"),
        (&vm, "[vmm/src/vm.rs]"),
        (&vm, "[vmm/src/vcpu/run.rs]"),
    ] {
        assert!(half.contains(expected), "no {expected} in {half}");
    }
    assert!(!container.contains("KVM"), "{container}");
    assert!(!vm.contains("CLONE_NEWPID"), "{vm}");
}

#[test]
fn what_can_not_run_is_not_explained() {
    let world = World::new();
    let seen = world.run(["explain", "--lang", "la", "busybox", "true"]);
    assert_eq!(seen.code, Some(125));
    assert!(seen.stderr.contains("--lang"), "{}", seen.stderr);
    let seen = world.run(["explain", "--rootfs", "/no/such/directory", "true"]);
    assert_eq!(seen.code, Some(125));
    assert!(
        seen.stderr.contains("/no/such/directory"),
        "{}",
        seen.stderr
    );
    assert!(seen.stdout.is_empty());
}

#[test]
fn a_command_that_is_not_there_is_told_after_its_launches() {
    if !can_run(Side::Vm) {
        return;
    }
    let world = World::new();
    let seen = world.run(["explain", "--start", "warm", "busybox", "no-such-command"]);
    assert_eq!(seen.code, Some(127), "{}", seen.stderr);
    let text = seen.stdout_text();
    let (container, vm) = halves(&text);
    assert!(container.contains("clone3(CLONE_NEWNS"), "{text}");
    assert!(vm.contains("KVM_RUN"), "{text}");
    assert!(seen.stderr.contains("no-such-command"), "{}", seen.stderr);
}

/// Waits until it is `there`, while explain goes on.
fn wait_for(child: &mut Child, there: impl Fn() -> bool) {
    while !there() {
        assert_eq!(child.try_wait().unwrap(), None);
        thread::sleep(Duration::from_millis(10));
    }
}

/// One signal ends it, with one line and without a page.
fn ends_and_leaves_nothing(world: &World, mut child: Child, signal: Signal) {
    kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
    assert_eq!(wait(&mut child).code(), Some(128 + signal as i32));
    let (mut page, mut said) = (String::new(), String::new());
    child.stdout.unwrap().read_to_string(&mut page).unwrap();
    child.stderr.unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(page, "");
    assert_eq!(said, format!("jaula: interrupted by {signal}\n"));
    world.assert_no_traces();
}

#[test]
fn a_signal_ends_it_while_the_container_runs() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let name = format!("{}0", world.name_prefix());
        let args = ["--start", "warm", "-m", "128m", "--name", &name];
        let args = [&["explain"][..], &args, &["busybox", "sleep", "1000"]].concat();
        let mut child = world.jaula(args).spawn().unwrap();
        wait_for(&mut child, || {
            format!("{:?}", world.traces()).contains(": sleep 1000 \"")
        });
        ends_and_leaves_nothing(&world, child, signal);
    }
}

#[test]
fn a_signal_ends_it_while_the_vm_runs() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let notes = world.dir().join("notes");
    fs::create_dir(&notes).unwrap();
    let volume = format!("{}:/notes", notes.display());
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        fs::write(notes.join("runs"), "").unwrap();
        let name = format!("{}0", world.name_prefix());
        let args = ["--start", "warm", "-m", "128m", "--name", &name];
        let args = [&["explain"][..], &args, &["-v", &volume]].concat();
        // The first is the container's.
        let script = "echo >> /notes/runs; [ $(wc -l < /notes/runs) = 1 ] || sleep 1000";
        let args = [&args[..], &["busybox", "sh", "-c", script]].concat();
        let mut child = world.jaula(args).spawn().unwrap();
        let runs = || fs::read(notes.join("runs")).unwrap().len();
        wait_for(&mut child, || runs() == 2);
        ends_and_leaves_nothing(&world, child, signal);
    }
}
