//! `jaula compare --density` and `--concurrency`: many instances at once, and none of them left.

#![allow(clippy::unwrap_used)]

mod harness;

use std::collections::BTreeSet;
use std::fs;
use std::process::Child;
use std::thread;
use std::time::Duration;

use bench::load::LoadEnd;
use bench::{Comparison, Contender};
use harness::comparison::compared;
use harness::nobody::is_root;
use harness::{JAULA, World, see, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The instances of a world, by the directories that they have now.
fn instances(world: &World) -> BTreeSet<String> {
    let entries = fs::read_dir(world.run_dir())
        .into_iter()
        .flatten()
        .flatten();
    let directories = entries.filter(|entry| entry.path().is_dir());
    directories
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

fn wait_for_instances(world: &World, compare: &mut Child, count: usize) -> BTreeSet<String> {
    loop {
        let there = instances(world);
        if there.len() >= count {
            return there;
        }
        assert_eq!(compare.try_wait().unwrap(), None);
        thread::sleep(Duration::from_millis(5));
    }
}

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

/// Nothing of these is there: no process, cgroup, mount or file.
fn assert_gone(world: &World, instances: &BTreeSet<String>) {
    world.assert_no_traces();
    for instance in instances {
        world.assert_no_cgroup(instance);
    }
}

#[test]
fn each_way_is_kept_running_and_launched_at_once_and_nothing_is_left() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let page = world.dir().join("report.html");
    let html = format!("--html={}", page.display());
    let load = compared(
        &world,
        [
            "--density=2",
            "--concurrency=2",
            "--runs=0",
            "--budget-time=45s",
            &html,
            "busybox",
            "sleep",
            "1000",
        ],
    )
    .load;
    let (density, concurrency) = (load.density.unwrap(), load.concurrency.unwrap());
    let ways = [Contender::Container, Contender::VmCold, Contender::VmWarm];
    let of_density: Vec<_> = density.ways.iter().map(|way| way.contender).collect();
    let of_concurrency: Vec<_> = concurrency.ways.iter().map(|it| it.contender).collect();
    assert_eq!(
        (&of_density[..], &of_concurrency[..]),
        (&ways[..], &ways[..])
    );
    for way in &density.ways {
        // One of each in any case; more of those for which there is time.
        assert!(way.ran >= 1, "{way:?}");
        assert!(way.per_instance.is_some(), "{way:?}");
        let charged = way.charged_per_instance.unwrap().mib;
        let is_vm = way.contender != Contender::Container;
        assert_eq!(charged > 2.0, is_vm, "{way:?}");
        for step in &way.steps[1..] {
            assert!(step.launch_ns.unwrap().count > 0, "{way:?}");
        }
    }
    assert_eq!(density.ways[0].ended, LoadEnd::Complete);
    assert_eq!(concurrency.ways[0].each_ns.len(), 2);
    assert!(concurrency.ways[0].all_there_ns >= concurrency.ways[0].each_ns.iter().copied().max());
    let page = fs::read_to_string(page).unwrap();
    for text in ["What one more costs in memory", "2 launched at once"] {
        assert!(page.contains(text), "no {text} in {page}");
    }
}

#[test]
fn what_a_command_has_freed_is_followed_until_it_is_back() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let fill = "sleep 1; dd if=/dev/zero of=/t/data bs=1M count=2 2>/dev/null";
    let script = format!("{fill}; rm /t/data; echo is freed; sleep 1000");
    let load = compared(
        &world,
        [
            "--freed=^is freed$",
            "--runs=0",
            "--tmpfs=/t",
            "-m=128m",
            "busybox",
            "sh",
            "-c",
            &script,
        ],
    )
    .load;
    for way in load.elasticity.unwrap().ways {
        assert_eq!(way.ended, LoadEnd::Complete, "{way:?}");
        // What was there between two readings was not seen.
        assert!(way.taken_bytes().unwrap() >= 3 << 19, "{way:?}");
        // A guest's kernel tells what is free every two seconds, of its own time.
        let least = match way.contender {
            Contender::Container => [75.0; 2],
            _ => [0.0; 2],
        };
        for (seconds, least) in [0, 30].into_iter().zip(least) {
            let back = way.returned_percent(seconds).unwrap();
            assert!(back >= least, "{way:?}");
        }
    }
}

#[test]
fn an_interrupted_density_is_reported_and_leaves_nothing() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let args = [
        "compare",
        "--density=10000",
        "--runs=0",
        "--json",
        "busybox",
    ];
    let mut compare = world
        .jaula(args.into_iter().chain(["sleep", "1000"]))
        .spawn()
        .unwrap();
    let there = wait_for_instances(&world, &mut compare, 4);
    send(&compare, Signal::SIGINT);
    let output = compare.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    let comparison: Comparison = serde_json::from_slice(&output.stdout).unwrap();
    for way in comparison.load.density.unwrap().ways {
        assert_eq!(way.ended, LoadEnd::Interrupted, "{way:?}");
    }
    assert_gone(&world, &there);
}

#[test]
fn of_a_density_that_is_killed_the_next_run_leaves_nothing() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let args = ["compare", "--density=10000", "--runs=0", "busybox"];
    let mut compare = world
        .jaula(args.into_iter().chain(["sleep", "1000"]))
        .spawn()
        .unwrap();
    let there = wait_for_instances(&world, &mut compare, 8);
    send(&compare, Signal::SIGKILL);
    wait(&mut compare);
    world.wait_for_orphans();
    let next = world.run(["run", "busybox", "true"]);
    assert_eq!((next.code, next.stderr.as_str()), (Some(0), ""));
    assert_gone(&world, &there);
}

#[test]
fn where_the_hosts_memory_ends_no_more_are_launched_and_it_is_said() {
    if !is_root() {
        return;
    }
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    // A host that has a tenth of its memory left, less one page: as this one's kernel would tell it.
    let told = world.dir().join("meminfo");
    fs::write(&told, "MemTotal: 1000000 kB\nMemAvailable: 99996 kB\n").unwrap();
    let told = told.to_str().unwrap();
    let script = r#"mount --bind "$1" /proc/meminfo && shift && exec "$@""#;
    let compare = [
        "compare",
        "--density=2",
        "--runs=0",
        "--json",
        "busybox",
        "sleep",
        "1000",
    ];
    let unshare = ["--mount", "sh", "-c", script, "sh", told, JAULA];
    let seen = see(
        world.command("unshare", unshare.into_iter().chain(compare)),
        b"",
    );
    assert_eq!(seen.code, Some(0), "{}", seen.stderr);
    let comparison: Comparison = serde_json::from_slice(&seen.stdout).unwrap();
    for way in comparison.load.density.unwrap().ways {
        assert_eq!(way.ran, 0, "{way:?}");
        let available_bytes = 99_996 << 10;
        assert_eq!(way.ended, LoadEnd::LowMemory { available_bytes });
    }
    world.assert_no_traces();
}
