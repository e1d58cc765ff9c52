//! VMs that run a system of the user's: kernel, initial RAM file system, power button.

#![allow(clippy::unwrap_used)]

mod archive;
#[path = "../../vmm/tests/monitor/guest.rs"]
#[allow(dead_code)]
mod guest;
#[path = "../harness/mod.rs"]
mod harness;

use std::fs;

use archive::Archive;
use guest::Guest;
use harness::detached::Detached;
use harness::refused::assert_refused;
use harness::{Place, World, can_run};
use launch::Side;

const BUSYBOX: &str = "/bin/busybox";

/// Writes a file into the test's directory.
fn file(world: &World, name: &str, contents: &[u8]) -> String {
    let path = world.dir().join(name);
    fs::write(&path, contents).unwrap();
    path.to_str().unwrap().to_owned()
}

/// busybox as PID 1, which executes `script`. What that has to say it says to the kernel: ours has no
/// driver for the serial port.
fn busybox_that_runs(script: &str) -> Vec<u8> {
    let archive = Archive::default()
        .directory("bin")
        .directory("dev")
        .directory("etc")
        .device("dev/kmsg", (1, 11))
        .device("dev/console", (5, 1))
        .program("init", &fs::read(BUSYBOX).unwrap())
        .link("bin/busybox", "/init");
    archive
        .file("etc/inittab", "::sysinit:/bin/busybox sh /etc/rc\n")
        .file("etc/rc", script)
        .finish()
}

/// Flags for a kernel of a few instructions, and an archive that it never looks at.
fn tiny(world: &World, guest: Guest) -> [String; 4] {
    let kernel = file(world, "kernel", &guest.image());
    let initrd = file(world, "initrd", b"anything");
    ["--kernel".into(), kernel, "--initrd".into(), initrd]
}

fn borrowed(flags: &[String]) -> Vec<&str> {
    flags.iter().map(String::as_str).collect()
}

#[test]
fn the_built_in_kernel_boots_a_users_archive_to_its_pid_1() {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let world = World::new();
    let script = "echo '<0>its line: '$(/bin/busybox cat /proc/cmdline) > /dev/kmsg\n\
                  /bin/busybox reboot -f\n";
    let script = format!("/bin/busybox mkdir /proc\n/bin/busybox mount -t proc p /proc\n{script}");
    let initrd = file(&world, "initrd", &busybox_that_runs(&script));
    let seen = world.run([
        "run",
        "--as",
        "vm",
        "--initrd",
        &initrd,
        "--append",
        "quiet my.word=1",
        "busybox",
    ]);
    let said = seen.stdout_text();
    assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), ""), "{said}");
    let line = said.lines().find(|line| line.contains("its line: "));
    assert!(
        line.unwrap().trim_end().ends_with("quiet my.word=1"),
        "{said}"
    );
    world.assert_no_traces();
}

#[test]
fn a_system_that_panics_fails_with_its_last_words() {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let world = World::new();
    let archive = Archive::default()
        .directory("bin")
        .program("bin/busybox", &fs::read(BUSYBOX).unwrap())
        .program("init", b"#!/bin/busybox false\n");
    let initrd = file(&world, "initrd", &archive.finish());
    let seen = world.run([
        "run", "--as", "vm", "--initrd", &initrd, "--append", "quiet", "busybox",
    ]);
    assert_eq!(seen.code, Some(125), "{}", seen.stderr);
    let said = "the guest kernel panicked: Attempted to kill init!";
    assert!(seen.stderr.contains(said), "{}", seen.stderr);
    assert!(seen.stdout_text().contains("Attempted to kill init!"));
}

#[test]
fn one_that_switches_itself_off_has_ended_well_and_all_it_said_is_there() {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let world = World::new();
    let flags = tiny(&world, Guest::default().says("on").says("off").powers_off());
    let args = [&["run", "--as", "vm"], &borrowed(&flags)[..], &["busybox"]].concat();
    let seen = world.run(args);
    assert_eq!(
        (seen.code, seen.stdout_text().as_str(), seen.stderr.as_str()),
        (Some(0), "on\noff\n", "")
    );
    world.assert_no_traces();
}

#[test]
fn stop_presses_the_power_button_and_waits() {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let test = Detached::new();
    let guest = Guest::default().says("up").awaits_the_power_button();
    let flags = tiny(&test.world, guest.says("pressed").powers_off());
    let flags = [&["--as", "vm"], &borrowed(&flags)[..]].concat();
    let (name, _) = test.start(0, &flags, &[]);
    test.await_log(&name, "up\n");
    for refused in [
        &["exec", &name, "true"][..],
        &["snapshot", "create", &name, "saved"],
    ] {
        let seen = test.world.run(refused.iter().copied());
        assert!(seen.stderr.contains("a system of its own"), "{seen:?}");
    }
    // Nobody waits as long as that.
    assert_eq!(
        test.says(&["stop", "-t", "600", &name]),
        format!("{name}\n")
    );
    assert_eq!(test.says(&["wait", &name]), "0\n");
    assert_eq!(test.says(&["logs", &name]), "up\npressed\n");
    test.says(&["rm", &name]);
    test.world.assert_no_traces();
}

#[test]
fn stop_kills_one_that_does_not_listen() {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let test = Detached::new();
    let flags = tiny(&test.world, Guest::default().says("up").loops());
    let flags = [&["--as", "vm"], &borrowed(&flags)[..]].concat();
    let (name, _) = test.start(0, &flags, &[]);
    test.await_log(&name, "up\n");
    assert_eq!(test.says(&["stop", "-t", "1", &name]), format!("{name}\n"));
    assert_eq!(test.says(&["wait", &name]), "137\n");
}

#[test]
fn what_can_not_be_booted_is_refused() {
    if !can_run(Side::Vm) {
        return;
    }
    let world = World::new();
    let empty = file(&world, "empty", b"");
    let some = file(&world, "some", b"x");
    let dir = world.dir().to_str().unwrap().to_owned();
    let large = file(&world, "large", b"");
    fs::File::options()
        .write(true)
        .open(&large)
        .and_then(|large| large.set_len(1 << 40))
        .unwrap();
    let long = "x".repeat(3000);
    for (flags, names) in [
        (
            &["--as", "vm", "--initrd", "/nonexistent"][..],
            &["/nonexistent", "No such file"][..],
        ),
        (
            &["--as", "vm", "--initrd", &dir],
            &[&dir, "no regular file"],
        ),
        (&["--as", "vm", "--initrd", &empty], &[&empty, "empty"]),
        (
            &["--as", "vm", "--initrd", &large],
            &["1099511627776 bytes does not fit"],
        ),
        (
            &["--as", "vm", "--initrd", &some, "--start", "warm"],
            &["leave --start out"],
        ),
        (&["--as", "vm", "--initrd", &some, "-t"], &["--tty"]),
        (
            &["--as", "vm", "--initrd", &some, "-e", "A=b"],
            &["--env means nothing with --initrd"],
        ),
        (&["--as", "vm", "--append", &long], &["command line"]),
        (&["--initrd", &some], &["--initrd is for VMs"]),
        (&["--append", "quiet"], &["--append is for VMs"]),
    ] {
        let command: &[&str] = match flags.contains(&"--initrd") && flags.contains(&"vm") {
            true => &["busybox"],
            false => &["busybox", "true"],
        };
        let seen = world.run([&["run"], flags, command].concat());
        assert_refused(&world, &seen, names);
    }
    let seen = world.run(["compare", "--initrd", &some, "busybox"]);
    assert_refused(&world, &seen, &["--initrd is for jaula run"]);
}
