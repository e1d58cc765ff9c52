//! `jaula explain`: what is told is what happened.

mod harness;

use harness::{World, can_run};
use launch::Side;

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
