//! `--device` with a block device of the host's: a container has its node, a VM has it as a disk.

#![allow(clippy::unwrap_used)]

mod harness;

use std::fs;
use std::os::unix::fs::MetadataExt;

use bench::Way;
use harness::counter::Counter;
use harness::loop_device::LoopDevice;
use harness::refused::assert_refused;
use harness::{Place, World, can_run, run};
use launch::Side;

macro_rules! the_same_each_way {
    ($($promise:ident: $($way:ident $name:ident),*;)*) => {$(
        mod $promise {
            use super::*;
            $(
                #[test]
                fn $name() {
                    if can_run(Way::$way.side()) {
                        let _place = Place::take(Way::$way.side());
                        super::$promise(Way::$way);
                    }
                }
            )*
        }
    )*};
}

the_same_each_way! {
    a_device_is_read_and_written: Container as_container, VmWarm as_vm, VmCold as_vm_that_boots;
    what_is_read_only_can_not_be_written: Container as_container, VmWarm as_vm;
    several_are_told_apart: Container as_container, VmCold as_vm;
    an_ordinary_user_can_not_open_it: Container as_container, VmWarm as_vm;
}

const MIB: usize = 1 << 20;

/// Runs a shell's script; what it said.
fn told(world: &World, way: Way, flags: &[&str], script: &str) -> String {
    if way == Way::VmWarm {
        // A machine with devices has a template of its own, and what is said while that is built
        // is in no test's output.
        let seen = world.run([run(way), flags, &["busybox", "true"]].concat());
        assert_eq!(seen.code, Some(0), "{}", seen.stderr);
    }
    let args = [run(way), flags, &["busybox", "sh", "-c", script]].concat();
    let seen = world.run(args);
    let text = seen.stdout_text();
    assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), ""), "{text}");
    text
}

fn a_device_is_read_and_written(way: Way) {
    let world = World::new();
    let mut content = vec![b'x'; MIB];
    content[3 * 512..3 * 512 + 6].copy_from_slice(b"sector");
    let Some(device) = LoopDevice::new(&world, "disk", &content) else {
        return;
    };
    let flag = format!("{}:/dev/xvda", device.path);
    let script = "
        stat -c '%F %a %u' /dev/xvda
        blockdev --getsize64 /dev/xvda; blockdev --getss /dev/xvda
        dd if=/dev/xvda bs=512 skip=3 count=1 2>&- | head -c 6; echo
        printf 'by the command' | dd of=/dev/xvda bs=512 seek=5 conv=fsync 2>&- && echo written
        blkdiscard -o 524288 -l 65536 /dev/xvda && echo discarded
        dd if=/dev/zero of=/dev/xvda bs=1M seek=1 count=1 2>&- || echo full";
    let said = told(&world, way, &["--device", &flag], script);
    let node = fs::metadata(&device.path).unwrap();
    let (mode, owner) = (node.mode() & 0o7777, node.uid());
    let expected = format!(
        "block special file {mode:o} {owner}\n1048576\n512\nsector\nwritten\ndiscarded\nfull\n"
    );
    assert_eq!(said, expected);
    content[5 * 512..5 * 512 + 14].copy_from_slice(b"by the command");
    content[524288..524288 + 65536].fill(0);
    assert!(device.content() == content);
    world.assert_no_traces();
}

fn what_is_read_only_can_not_be_written(way: Way) {
    let world = World::new();
    let Some(device) = LoopDevice::new(&world, "disk", &[b'x'; MIB]) else {
        return;
    };
    let script = "
        head -c 3 DEVICE; echo
        echo y 2>&- > DEVICE || echo refused
        blkdiscard DEVICE 2>&- || echo refused";
    let script = script.replace("DEVICE", &device.path);
    let flag = format!("{}:r", device.path);
    let said = told(&world, way, &["--device", &flag], &script);
    assert_eq!(said, "xxx\nrefused\nrefused\n");
    assert!(device.content() == [b'x'; MIB]);
}

fn several_are_told_apart(way: Way) {
    let world = World::new();
    let names = ["a", "b", "c", "d"];
    let devices = names.map(|name| LoopDevice::new(&world, name, &name.repeat(MIB).into_bytes()));
    let [Some(a), Some(b), Some(c), Some(d)] = &devices else {
        return;
    };
    let flags: Vec<_> = [(d, "4"), (a, "1"), (c, "3"), (b, "2")]
        .iter()
        .map(|(device, number)| format!("--device={}:/dev/disk/{number}", device.path))
        .collect();
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let script = "for n in 1 2 3 4; do head -c 1 /dev/disk/$n; done";
    assert_eq!(told(&world, way, &flags, script), "abcd");
}

fn an_ordinary_user_can_not_open_it(way: Way) {
    let world = World::new();
    let Some(device) = LoopDevice::new(&world, "disk", &[b'x'; MIB]) else {
        return;
    };
    let flags = ["--user", "1000", "--device", &device.path];
    let script = format!("head -c 1 {} 2>&- || echo refused", device.path);
    assert_eq!(told(&world, way, &flags, &script), "refused\n");
}

#[test]
fn what_a_vm_can_not_have_as_a_disk_is_refused() {
    if !can_run(Side::Vm) {
        return;
    }
    let world = World::new();
    let Some(device) = LoopDevice::new(&world, "disk", &[b'x'; MIB]) else {
        return;
    };
    let write_only = format!("{}:w", device.path);
    let nowhere = format!("{}:/etc/passwd/disk", device.path);
    let file = world.dir().join("disk");
    let file = file.to_str().unwrap();
    for (device, said) in [
        ("/dev/null", "--device with what is no block device"),
        (write_only.as_str(), "--device without the access r"),
        (file, file),
        ("/dev/nonexistent", "/dev/nonexistent"),
        (nowhere.as_str(), "/etc/passwd/disk"),
    ] {
        let args = ["run", "--as", "vm", "--device", device, "busybox", "true"];
        assert_refused(&world, &world.run(args), &[said]);
    }
    let five = [&device.path; 5].map(|path| format!("--device={path}"));
    let mut args = vec!["run", "--as", "vm"];
    args.extend(five.iter().map(String::as_str));
    args.extend(["busybox", "true"]);
    assert_refused(&world, &world.run(args), &["5 devices", "at most 4"]);
}

#[test]
fn a_vm_with_a_device_is_not_saved() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let Some(device) = LoopDevice::new(&world, "disk", &[b'x'; MIB]) else {
        return;
    };
    let name = format!("{}0", world.name_prefix());
    let flags = ["-i", "--name", &name, "--device", &device.path];
    let command = ["busybox", "sh", "-c", harness::counter::COUNTER];
    let args = [run(Way::VmCold), &flags, &command].concat();
    let mut instance = Counter::from(world.jaula(args));
    assert_eq!(instance.say("a"), "a 1");
    let seen = world.run(["snapshot", "create", &name, "kept"]);
    assert_eq!(seen.code, Some(125));
    assert!(
        seen.stderr.contains("devices of the host's"),
        "{}",
        seen.stderr
    );
    assert!(seen.stderr.contains("--device"), "{}", seen.stderr);
    assert_eq!(instance.say("b"), "b 2");
    assert_eq!(instance.end(), (Some(2), String::new()));
}
