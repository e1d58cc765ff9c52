//! What is left when an instance is gone: nothing.

use std::process::{Command, Stdio as HostStdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use host::RunDir;
use launch::{ExitStatus, Stdio};

use crate::world::World;

fn mounts() -> usize {
    fs::read_to_string("/proc/self/mountinfo")
        .unwrap()
        .lines()
        .filter(|line| line.contains("jaula") || line.contains("overlay"))
        .count()
}

/// Whether any process of the host runs a command with this argument.
fn runs(argument: &str) -> bool {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| fs::read(entry.unwrap().path().join("cmdline")).ok())
        .any(|cmdline| {
            cmdline
                .split(|byte| *byte == 0)
                .any(|arg| arg == argument.as_bytes())
        })
}

/// The cgroups of an instance, found as `host` records them.
fn cgroups(world: &World, id: &str) -> Vec<String> {
    fs::read_to_string(world.run_dir().join(id).join("cgroups"))
        .unwrap_or_default()
        .split_terminator('\0')
        .map(str::to_owned)
        .collect()
}

#[test]
fn dropping_an_instance_kills_it_and_leaves_nothing() {
    let world = World::new();
    let mounts_before = mounts();
    let script = "sleep 98761 & sleep 98762 & wait";
    let instance = world
        .launch(
            &world.workload(&["sh", "-c", script]),
            Stdio::null().unwrap(),
        )
        .unwrap();
    let id = instance.id().to_string();
    assert_eq!(world.instances(), std::slice::from_ref(&id));
    let cgroups = cgroups(&world, &id);
    while !(runs("98761") && runs("98762")) {
        std::thread::yield_now();
    }
    drop(instance);
    assert!(!runs("98761") && !runs("98762"));
    assert_eq!(world.instances(), [] as [String; 0]);
    assert_eq!(mounts(), mounts_before);
    for cgroup in cgroups {
        assert!(!fs::exists(&cgroup).unwrap(), "{cgroup}");
    }
}

/// Tells `a_launcher` where its world is.
const WORLD: &str = "JAULA_TEST_WORLD";

#[test]
#[ignore = "the process that a_launcher_killed_at_any_moment_leaves_nothing kills"]
fn a_launcher() {
    let world = World::visit(env::var(WORLD).unwrap());
    let workload = world.workload(&["sleep", "98764"]);
    let instance = world.launch(&workload, Stdio::null().unwrap()).unwrap();
    instance.wait(None).unwrap();
}

#[test]
fn a_launcher_killed_at_any_moment_leaves_nothing() {
    let world = World::new();
    for ms in 0..20 {
        let mut launcher = Command::new(env::current_exe().unwrap())
            .args(["--exact", "leftovers::a_launcher", "--ignored"])
            .env(WORLD, world.dir())
            .stdout(HostStdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(ms));
        launcher.kill().unwrap();
        launcher.wait().unwrap();
        // The kernel kills the container's process, but says nothing of when.
        let deadline = Instant::now() + Duration::from_secs(10);
        while runs("98764") || runs("leftovers::a_launcher") {
            assert!(Instant::now() < deadline, "still running after {ms} ms");
            thread::yield_now();
        }
        if !world.run_dir().exists() {
            continue;
        }
        let cgroups: Vec<_> = world
            .instances()
            .iter()
            .flat_map(|id| cgroups(&world, id))
            .collect();
        let swept = RunDir::at(world.run_dir()).unwrap().sweep().unwrap();
        assert!(swept.failed.is_empty(), "{swept:?}");
        assert_eq!(world.instances(), [] as [String; 0]);
        for cgroup in cgroups {
            assert!(!fs::exists(&cgroup).unwrap(), "{cgroup}");
        }
    }
}

#[test]
fn what_the_command_left_running_ends_with_it() {
    let world = World::new();
    let status = world.status_of(&["sh", "-c", "setsid sleep 98763 & exit 3"]);
    assert_eq!(status, ExitStatus::Exited(3));
    assert!(!runs("98763"));
}

#[test]
fn a_failed_launch_leaves_nothing() {
    let world = World::new();
    fs::write(world.image().join("dev"), "").unwrap();
    assert!(world.run(&world.workload(&["true"])).is_err());
    assert_eq!(world.instances(), [] as [String; 0]);
}

#[test]
fn one_prepared_workload_can_be_launched_side_by_side() {
    let world = World::new();
    let workload = world.workload(&["sleep", "60"]);
    let a = world.launch(&workload, Stdio::null().unwrap()).unwrap();
    let b = world.launch(&workload, Stdio::null().unwrap()).unwrap();
    assert_ne!(a.id(), b.id());
    assert_eq!(world.instances().len(), 2);
}
