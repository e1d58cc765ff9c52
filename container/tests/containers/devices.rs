//! Devices of the host's that a workload is given.

use std::path::Path;

use launch::{Device, DeviceAccess, Error, MountPoint};

use crate::world::{Outcome, World, is_root};

fn device(source: impl AsRef<Path>, target: &str, access: &str) -> Device {
    Device {
        source: source.as_ref().to_owned(),
        target: MountPoint::new(target.as_bytes()).unwrap(),
        access: DeviceAccess {
            read: access.contains('r'),
            write: access.contains('w'),
            make: access.contains('m'),
        },
    }
}

fn run(world: &World, device: Device, script: &str) -> Result<Outcome, Error> {
    let mut workload = world.workload(&["sh", "-c", script]);
    workload.devices = vec![device];
    world.run(&workload)
}

#[test]
fn a_device_works_where_it_was_asked_for() {
    let world = World::new();
    for target in ["/dev/given", "/dev/new/dir/given", "/srv/given"] {
        let script = format!("head -c 3 {target} | wc -c; test -c {target}");
        let seen = run(&world, device("/dev/zero", target, "rwm"), &script).unwrap();
        assert_eq!(seen.stdout, "3\n", "{target}: {}", seen.stderr);
    }
}

#[test]
fn the_commands_node_is_not_the_hosts() {
    if !is_root("a device node of its own") {
        return;
    }
    let world = World::new();
    let before = std::fs::metadata("/dev/zero").unwrap().permissions();
    let script = "chmod 600 /dev/given && stat -c %a /dev/given";
    let seen = run(&world, device("/dev/zero", "/dev/given", "rwm"), script).unwrap();
    assert_eq!(seen.stdout, "600\n");
    assert_eq!(
        std::fs::metadata("/dev/zero").unwrap().permissions(),
        before
    );
}

#[test]
fn a_device_may_be_for_reading_only() {
    if !is_root("the device cgroup") {
        return;
    }
    let world = World::new();
    // One that is not among those that everybody may use, and that opening does nothing to.
    let script = "head -c 0 /dev/given && echo read; (echo > /dev/given) 2>&1; true";
    let seen = run(&world, device("/dev/net/tun", "/dev/given", "r"), script).unwrap();
    assert_eq!(
        seen.stdout,
        "read\nsh: can't create /dev/given: Operation not permitted\n"
    );
}

#[test]
fn what_is_no_device_is_an_error_that_names_it() {
    let world = World::new();
    for source in ["/dev", "/dev/no-such-device"] {
        let error = run(&world, device(source, "/dev/given", "rwm"), "true").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{source} can't be used as a device")
        );
        assert!(error.remedy().is_some());
    }
}
