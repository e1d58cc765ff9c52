//! A snapshot that is not as it was saved, or was saved elsewhere, is refused in one line that says
//! what to do, with 125.

#![allow(clippy::unwrap_used)]

mod harness;

use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use harness::counter::{COUNTER, Counter};
use harness::nobody::is_root;
use harness::refused::assert_refused;
use harness::small_disk::SmallDisk;
use harness::{JAULA, Place, World, can_run};
use launch::Side;
use vmm::snapshot::envelope::{self, FORMAT_VERSION, HEADER_BYTES};
use vmm::snapshot::{Description, MEMORY, PAGE_BYTES, Ring0Kind, STATE, StateFile};

/// A world with the snapshot `good` of a counter that is at 1.
fn world_with_snapshot() -> (World, PathBuf) {
    let world = World::new();
    let name = format!("{}0", world.name_prefix());
    let mut counter = Counter::start(&world, &name);
    assert_eq!(counter.say("a"), "a 1");
    let saved = world.run(["snapshot", "create", &name, "good"]);
    assert_eq!(saved.code, Some(0), "{}", saved.stderr);
    assert_eq!(counter.end(), (Some(1), String::new()));
    let dir = world.dir().join("data/snapshots/good");
    (world, dir)
}

fn is_refused(world: &World, names: &[&str]) {
    let seen = world.run(["snapshot", "restore", "good"]);
    assert_refused(world, &seen, names);
    // What to do about it.
    assert!(seen.stderr.contains("; "), "{}", seen.stderr);
}

fn goes_on(world: &World) {
    let mut counter = Counter::restore(world, "good");
    assert_eq!(counter.say("x"), "x 2");
    assert_eq!(counter.end(), (Some(2), String::new()));
}

#[test]
fn a_state_that_is_not_as_it_was_written() {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let (world, dir) = world_with_snapshot();
    let path = dir.join(STATE);
    let good = fs::read(&path).unwrap();
    let refused_with = |state: &[u8], why: &str| {
        fs::write(&path, state).unwrap();
        is_refused(&world, &["good", why]);
    };
    refused_with(b"", "this is no snapshot of jaula's");
    for cut in (4096..good.len()).step_by(4096) {
        refused_with(&good[..cut], "cut off");
    }
    let version_at = 8;
    let length_at = 12;
    for (version, why) in [
        (FORMAT_VERSION + 1, "newer than this jaula's"),
        (FORMAT_VERSION - 1, "older than this jaula's"),
    ] {
        let mut state = good.clone();
        state[version_at..length_at].copy_from_slice(&version.to_le_bytes());
        refused_with(&state, why);
    }
    for (byte, bit, why) in [
        (0, 0, "this is no snapshot of jaula's"),
        (length_at, 7, "the snapshot's state is"),
        (length_at + 7, 7, "the snapshot's state is damaged"),
        (HEADER_BYTES - 1, 3, "the snapshot's state is damaged"),
        (HEADER_BYTES, 3, "the snapshot's state is damaged"),
        (good.len() / 2, 0, "the snapshot's state is damaged"),
        (good.len() - 1, 7, "the snapshot's state is damaged"),
    ] {
        let mut state = good.clone();
        state[byte] ^= 1 << bit;
        refused_with(&state, why);
    }
    fs::write(&path, good).unwrap();
    goes_on(&world);
}

/// The state file as it would be, had it been saved by one who described it so.
fn described(state: &[u8], change: impl FnOnce(&mut Description)) -> Vec<u8> {
    let content = envelope::open(state).unwrap();
    let (mut description, machine) = postcard::take_from_bytes::<Description>(content).unwrap();
    change(&mut description);
    let content = postcard::to_stdvec(&description).unwrap();
    envelope::seal(&[&content, machine].concat()).unwrap()
}

#[test]
fn a_state_that_was_saved_elsewhere() {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let (world, dir) = world_with_snapshot();
    let path = dir.join(STATE);
    let good = fs::read(&path).unwrap();
    let refused_with = |state: Vec<u8>, why: &str| {
        fs::write(&path, state).unwrap();
        is_refused(&world, &["good", why]);
    };
    refused_with(
        described(&good, |description| description.host.cpu.stepping += 1),
        "made on another processor",
    );
    let other_ring0 = |description: &mut Description| {
        description.host.ring0 = match description.host.ring0 {
            Ring0Kind::Hardware => Ring0Kind::Emulated,
            Ring0Kind::Emulated => Ring0Kind::Hardware,
        };
    };
    refused_with(described(&good, other_ring0), "made where ring 0 is");
    // By one who knows how to make a checksum.
    let content = envelope::open(&good).unwrap();
    let cut = envelope::seal(&content[..content.len() - 1]).unwrap();
    refused_with(cut, "makes no sense");
    refused_with(envelope::seal(b"").unwrap(), "makes no sense");
    let more = envelope::seal(&[content, &[0]].concat()).unwrap();
    refused_with(more, "1 bytes too many");
    fs::write(&path, described(&good, |_| {})).unwrap();
    goes_on(&world);
}

/// A place in the file with data.
fn place_of_data(dir: &Path) -> u64 {
    let state = StateFile::read(dir).unwrap();
    let extents = state.description().memory.extents().iter();
    extents.last().unwrap().offset
}

fn flip_a_bit(memory: &File, at: u64) {
    let mut byte = [0];
    memory.read_exact_at(&mut byte, at).unwrap();
    byte[0] ^= 1;
    memory.write_all_at(&byte, at).unwrap();
}

#[test]
fn a_memory_that_is_not_as_it_was_written() {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let (world, dir) = world_with_snapshot();
    let path = dir.join(MEMORY);
    let data_at = place_of_data(&dir);
    let writer = || {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap()
    };
    let bytes = fs::metadata(&path).unwrap().len();
    let mut end = [0; PAGE_BYTES as usize];
    writer()
        .read_exact_at(&mut end, bytes - PAGE_BYTES)
        .unwrap();

    for (other, why) in [(bytes - PAGE_BYTES, "too short"), (bytes + 1, "too long")] {
        writer().set_len(other).unwrap();
        is_refused(&world, &["good", why]);
        writer().set_len(bytes).unwrap();
        writer().write_all_at(&end, bytes - PAGE_BYTES).unwrap();
    }
    flip_a_bit(&writer(), data_at);
    is_refused(&world, &["good", "damaged, or is of another snapshot"]);
    flip_a_bit(&writer(), data_at);

    fs::set_permissions(&path, Permissions::from_mode(0o602)).unwrap();
    is_refused(&world, &["good", "can be changed by others"]);
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();

    let held = writer();
    is_refused(&world, &["good", "open for writing by another program"]);
    drop(held);

    let away = world.dir().join("away");
    fs::rename(&path, &away).unwrap();
    is_refused(&world, &["good", "is missing"]);
    fs::create_dir(&path).unwrap();
    is_refused(&world, &["good", "not a regular file"]);
    fs::remove_dir(&path).unwrap();
    fs::rename(&away, &path).unwrap();
    goes_on(&world);

    fs::remove_file(dir.join("disk")).unwrap();
    is_refused(&world, &["good", "its disk image is missing"]);
}

#[test]
fn a_memory_that_changes_under_a_running_machine_ends_it_before() {
    if !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let (world, dir) = world_with_snapshot();
    let mut counter = Counter::restore(&world, "good");
    assert_eq!(counter.say("x"), "x 2");
    // Returns when the machine is gone.
    let memory = OpenOptions::new()
        .read(true)
        .write(true)
        .open(dir.join(MEMORY))
        .unwrap();
    let (code, said) = counter.end();
    assert_eq!(code, Some(125), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.contains("about to be changed by another program; "),
        "{said}"
    );
    world.assert_no_traces();
    flip_a_bit(&memory, place_of_data(&dir));
    drop(memory);
    is_refused(&world, &["good", "damaged"]);
}

#[test]
fn a_full_disk_is_named_and_the_machine_goes_on() {
    if !can_run(Side::Vm) || !is_root() {
        return;
    }
    let _place = Place::take(Side::Vm);
    let world = World::new();
    let disk = SmallDisk::mount(&world.dir().join("data"));
    let name = format!("{}0", world.name_prefix());
    let mut counter = Counter::start(&world, &name);
    assert_eq!(counter.say("a"), "a 1");
    let seen = world.run(["snapshot", "create", &name, "good"]);
    assert_eq!(seen.code, Some(125), "{}", seen.stderr);
    assert_eq!(seen.stderr.lines().count(), 1, "{}", seen.stderr);
    for word in ["there is no room", "; remove snapshots"] {
        assert!(seen.stderr.contains(word), "{}", seen.stderr);
    }
    let kept = fs::read_dir(disk.dir().join("snapshots")).unwrap();
    assert_eq!(kept.count(), 0);
    assert_eq!(counter.say("b"), "b 2");
    assert_eq!(counter.end(), (Some(2), String::new()));
    world.assert_no_traces();
}

#[test]
fn a_limit_on_the_size_of_files_is_named_and_the_machine_goes_on() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    // Makes the template and the disk before the limit, which goes for them, too.
    let first = world.run(["run", "--as", "vm", "--start", "warm", "busybox", "true"]);
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    let name = format!("{}0", world.name_prefix());
    let run = format!(
        "ulimit -f 1000; exec {JAULA} run -i --as vm --start warm --name {name} busybox sh -c \"$1\""
    );
    let mut counter = Counter::from(world.command("sh", ["-c", &run, "sh", COUNTER]));
    assert_eq!(counter.say("a"), "a 1");
    let seen = world.run(["snapshot", "create", &name, "good"]);
    assert_eq!(seen.code, Some(125), "{}", seen.stderr);
    for word in ["File too large", "; raise the limit"] {
        assert!(seen.stderr.contains(word), "{}", seen.stderr);
    }
    assert_eq!(counter.say("b"), "b 2");
    assert_eq!(counter.end(), (Some(2), String::new()));
    world.assert_no_traces();
}

#[test]
fn what_a_killed_saver_left_is_cleared_by_the_next_run() {
    let Some((_place, world)) = World::for_vms() else {
        return;
    };
    let name = format!("{}0", world.name_prefix());
    let mut counter = Counter::start(&world, &name);
    assert_eq!(counter.say("a"), "a 1");
    let mut saver = world
        .jaula(["snapshot", "create", &name, "good"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let store = world.dir().join("data/snapshots");
    let there_are = || fs::read_dir(&store).map_or(0, Iterator::count);
    while there_are() == 0 {
        assert_eq!(saver.try_wait().unwrap(), None);
        thread::sleep(Duration::from_micros(100));
    }
    saver.kill().unwrap();
    saver.wait().unwrap();
    assert_eq!(counter.say("b"), "b 2");
    let listed = world.run(["snapshot", "ls"]).stdout_text();
    assert_eq!(listed.lines().count(), 1, "{listed}");
    let next = world.run(["run", "busybox", "true"]);
    assert_eq!((next.code, next.stderr.as_str()), (Some(0), ""));
    assert_eq!(there_are(), 0);
    assert_eq!(counter.end(), (Some(2), String::new()));
    world.assert_no_traces();
}
