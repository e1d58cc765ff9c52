//! Limits, kept by the instance's cgroup.

use launch::{ExitStatus, Resources, Stdio};
use nix::sys::signal::Signal;

use crate::world::{World, is_root};

#[test]
fn a_command_that_exceeds_the_memory_limit_is_killed() {
    if !is_root("a memory limit") {
        return;
    }
    let world = World::new();
    let mut workload =
        world.workload(&["sh", "-c", "x=0123456789abcdef; while :; do x=$x$x; done"]);
    workload.resources = Resources {
        memory: Some("16m".parse().unwrap()),
        ..Resources::default()
    };
    let status = world.run(&workload).unwrap().status;
    assert_eq!(status, ExitStatus::Signaled(9));
    assert_eq!(status.code(), 137);
}

#[test]
fn a_kill_for_lack_of_memory_is_told_from_another() {
    if !is_root("a memory limit") {
        return;
    }
    let world = World::new();
    for (script, out_of_memory) in [
        ("x=0123456789abcdef; while :; do x=$x$x; done", true),
        ("sleep 60", false),
    ] {
        let mut workload = world.workload(&["sh", "-c", script]);
        workload.resources.memory = Some("16m".parse().unwrap());
        let instance = world.launch(&workload, Stdio::null().unwrap()).unwrap();
        if !out_of_memory {
            instance.signal(Signal::SIGKILL).unwrap();
        }
        let status = instance.wait(None).unwrap();
        assert_eq!(status, Some(ExitStatus::Signaled(9)));
        assert_eq!(instance.out_of_memory().unwrap(), out_of_memory, "{script}");
    }
}

#[test]
fn no_more_processes_are_made_than_the_limit_allows() {
    if !is_root("a limit of processes") {
        return;
    }
    let world = World::new();
    let script = "for n in 1 2 3 4 5 6; do sleep 9 & done; wait";
    let mut workload = world.workload(&["sh", "-c", script]);
    workload.resources = Resources {
        pids: Some("4".parse().unwrap()),
        ..Resources::default()
    };
    let outcome = world.run(&workload).unwrap();
    assert!(outcome.stderr.contains("can't fork"), "{outcome:?}");
}

#[test]
fn more_than_the_host_has_is_refused_with_what_to_do() {
    let world = World::new();
    let mut workload = world.workload(&["true"]);
    workload.resources.memory = Some("1024t".parse().unwrap());
    let error = world.run(&workload).unwrap_err();
    assert!(error.to_string().contains("memory"), "{error}");
    assert!(error.remedy().is_some());
}

#[test]
fn the_footprint_is_what_the_cgroup_is_charged() {
    if !is_root("a footprint") {
        return;
    }
    let world = World::new();
    let instance = world
        .launch(&world.workload(&["sleep", "60"]), Stdio::null().unwrap())
        .unwrap();
    let footprint = instance.footprint().unwrap();
    assert!(footprint.current_bytes > 0);
    assert!(footprint.peak_bytes >= footprint.anon_bytes);
}
