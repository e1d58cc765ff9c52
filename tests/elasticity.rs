//! Memory that an instance has freed is the host's again.

#![allow(clippy::unwrap_used)]

mod harness;

use std::thread;
use std::time::{Duration, Instant};

use bench::Way;
use harness::counter::Counter;
use harness::{Place, World, can_run, run};
use launch::Side;

/// What the command fills and frees: a guest whose kernel is emulated takes a second for a
/// mebibyte.
const TOUCHED_MIB: f64 = 16.0;

/// After this nothing is given back any more. A guest's kernel tells what is free every two
/// seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Fills memory, and frees it, when it is told to.
const SCRIPT: &str = "
    while read word; do
        case $word in
            fill) head -c 16777216 /dev/zero > /t/data ;;
            free) rm /t/data ;;
            end) exit 0 ;;
        esac
        echo $word done
    done";

/// What `jaula stats` says that the instance takes.
fn memory_mib(world: &World, name: &str) -> f64 {
    let seen = world.run(["stats", "--no-stream", "--format", "json", name]);
    let said: serde_json::Value = serde_json::from_slice(&seen.stdout).unwrap();
    let (used, _) = said["MemUsage"]
        .as_str()
        .unwrap()
        .split_once(" / ")
        .unwrap();
    let unit = used.find(|c: char| c.is_ascii_alphabetic()).unwrap();
    let number: f64 = used[..unit].trim().parse().unwrap();
    match &used[unit..] {
        "KiB" => number / 1024.0,
        "MiB" => number,
        unit => panic!("{unit} of memory: {used}"),
    }
}

fn freed_memory_goes_back(way: Way) {
    let world = World::new();
    let name = format!("{}0", world.name_prefix());
    let flags = ["-i", "--name", &name, "-m", "128m", "--tmpfs", "/t"];
    let command = ["busybox", "sh", "-c", SCRIPT];
    let mut instance = Counter::from(world.jaula([run(way), &flags, &command].concat()));
    assert_eq!(instance.say("start"), "start done");
    assert_eq!(instance.say("fill"), "fill done");
    let full = memory_mib(&world, &name);
    assert!(full > TOUCHED_MIB, "{full} MiB");
    assert_eq!(instance.say("free"), "free done");
    // What was free before is given back, too.
    let deadline = Instant::now() + PATIENCE;
    let expected = full - 0.9 * TOUCHED_MIB;
    loop {
        let now = memory_mib(&world, &name);
        if now < expected {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "{now} MiB of {full} MiB are left"
        );
        thread::sleep(Duration::from_millis(100));
    }
    // It can be used again.
    assert_eq!(instance.say("fill"), "fill done");
    assert_eq!(instance.end(), (Some(0), String::new()));
    world.assert_no_traces();
}

#[test]
fn what_a_container_has_freed_is_the_hosts() {
    freed_memory_goes_back(Way::Container);
}

#[test]
fn what_a_vm_has_freed_is_the_hosts() {
    if can_run(Side::Vm) {
        let _place = Place::take(Side::Vm);
        freed_memory_goes_back(Way::VmWarm);
    }
}

#[test]
fn what_a_vm_has_freed_that_has_booted_is_the_hosts() {
    if can_run(Side::Vm) {
        let _place = Place::take(Side::Vm);
        freed_memory_goes_back(Way::VmCold);
    }
}
