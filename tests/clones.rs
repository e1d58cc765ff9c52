//! VMs that go on from one template are different machines.

#![allow(clippy::unwrap_used)]

mod harness;

use std::process::Child;
use std::time::{SystemTime, UNIX_EPOCH};

use harness::{Place, World, can_run};
use launch::Side;

/// What a machine says of itself, a line each.
const SCRIPT: &str = "\
    head -c 16 /dev/urandom | od -An -v -tx1
    cat /proc/sys/kernel/random/boot_id
    hostname
    date +%s
    cut -d' ' -f1 /proc/uptime
    cut -d' ' -f1 /proc/uptime";

/// Longer than any guest is up that was saved soon after its boot and has just gone on.
const UP_FOR_LONG_S: f64 = 240.0;

/// What one clone said.
struct Said {
    random: String,
    boot_id: String,
    hostname: String,
    date_s: u64,
    uptimes_s: [f64; 2],
}

fn start(world: &World, hostname: &str) -> Child {
    let run = ["run", "--as", "vm", "--start", "warm", "-h", hostname];
    let args = [&run[..], &["busybox", "sh", "-c", SCRIPT]].concat();
    world.jaula(args).spawn().unwrap()
}

fn said(clone: Child) -> Said {
    let output = clone.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = stdout.lines().collect();
    let [random, boot_id, hostname, date, uptime, uptime_after] = lines[..] else {
        panic!("{stdout}");
    };
    Said {
        random: random.into(),
        boot_id: boot_id.into(),
        hostname: hostname.into(),
        date_s: date.parse().unwrap(),
        uptimes_s: [uptime, uptime_after].map(|uptime| uptime.parse().unwrap()),
    }
}

fn now_s() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_secs()
}

#[test]
fn two_clones_of_one_template_are_two_machines_in_one_time() {
    if !can_run(Side::Vm) {
        return;
    }
    let _places = [Place::take(Side::Vm), Place::take(Side::Vm)];
    let world = World::new();
    let before_s = now_s();
    let clones = [start(&world, "one"), start(&world, "other")];
    let clones = clones.map(said);
    let after_s = now_s();
    let [one, other] = &clones;
    assert_ne!(one.random, other.random);
    assert_ne!(one.boot_id, other.boot_id);
    assert_eq!(one.hostname, "one");
    assert_eq!(other.hostname, "other");
    for Said {
        date_s, uptimes_s, ..
    } in &clones
    {
        // A guest's clock is set to the second in which it was told.
        assert!(
            (before_s - 1..=after_s + 1).contains(date_s),
            "{date_s} is not between {before_s} and {after_s}"
        );
        let [uptime_s, uptime_after_s] = uptimes_s;
        assert!(uptime_s <= uptime_after_s, "{uptimes_s:?}");
        assert!((0.0..UP_FOR_LONG_S).contains(uptime_s), "{uptimes_s:?}");
    }
}
