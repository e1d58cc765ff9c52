//! `jaula compare --against qemu`, with programs that stand in for QEMU and the guest in it.

#![allow(clippy::unwrap_used)]

mod harness;

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use bench::{Comparison, Contender, OtherReport, Outcome};
use harness::nobody::is_root;
use harness::schema::assert_fits_the_schema;
use harness::{Place, World, see};

const QEMU: &str = "qemu-system-x86_64";

/// No line is so long that it is broken.
const WIDE: u16 = 1000;

/// What comes of a comparison against a QEMU that is looked for in `path`. The rest of it has to work.
fn compared(world: &World, path: &str, args: &[&str]) -> (Comparison, String) {
    let flags = ["compare", "--json", "--against=qemu", "--memory=128m"];
    let mut command = world.jaula(flags.iter().chain(args).copied());
    command.env("PATH", path);
    let seen = see(command, b"");
    assert_eq!(seen.code, Some(0), "{}", seen.stderr);
    world.assert_no_traces();
    assert_fits_the_schema(&seen.stdout);
    let comparison: Comparison = serde_json::from_slice(&seen.stdout).unwrap();
    let text = bench::table::render(&comparison, WIDE);
    (comparison, text)
}

/// A `PATH` where this script is found before any other QEMU.
fn with_qemu(world: &World, script: &str) -> String {
    let dir = world.dir().join("bin");
    fs::create_dir(&dir).unwrap();
    let program = dir.join(QEMU);
    fs::write(&program, format!("#!/bin/bash\n{script}\n")).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", dir.display(), env::var("PATH").unwrap())
}

/// A `PATH` with all programs that there are, but no QEMU.
fn without_qemu(world: &World) -> PathBuf {
    let dir = world.dir().join("others");
    fs::create_dir(&dir).unwrap();
    let path = env::var_os("PATH").unwrap();
    let programs = env::split_paths(&path).filter_map(|dir| fs::read_dir(dir).ok());
    for program in programs.flatten().map(|entry| entry.unwrap().path()) {
        let name = program.file_name().unwrap();
        // The first of a name counts.
        if name != QEMU && !dir.join(name).exists() {
            let _ = symlink(&program, dir.join(name));
        }
    }
    dir
}

fn qemu(comparison: &Comparison) -> &OtherReport {
    let mut others = comparison.others.iter();
    others.find(|it| it.contender == Contender::Qemu).unwrap()
}

fn world_of_root() -> Option<(Option<Place>, World)> {
    if !is_root() {
        eprintln!("SKIPPED: only root compares against QEMU");
        return None;
    }
    World::for_vms()
}

#[test]
fn what_a_guest_in_qemu_does_is_checked_and_timed_as_of_the_rest() {
    let Some((_place, world)) = world_of_root() else {
        return;
    };
    let told = world.dir().join("told");
    // PID 1 in it connects, and says after all output that the command ended with 3: the message is four
    // bytes long (`frame.rs`, postcard).
    let script = format!(
        r#"printf '%s\n' "$@" > {}
           at=/dev/tcp/127.0.0.1
           exec 3<>$at/1024 4<>$at/1025 5<>$at/1026 6<>$at/1027
           echo said >&5
           exec 5>&- 6>&-
           printf '\x04\0\0\0\0\0\x03\0' >&3
           sleep 1000"#,
        told.display()
    );
    let path = with_qemu(&world, &script);
    let script = "echo said; exit 3";
    let args = [
        "--runs=1",
        "--budget-time=1ms",
        "--metrics=exit",
        "busybox",
        "sh",
        "-c",
        script,
    ];
    let (comparison, text) = compared(&world, &path, &args);
    let report = qemu(&comparison);
    assert_eq!(report.outcome.exit_code(), Some(3), "{report:?}");
    assert!(report.is_output_alike, "{report:?}");
    let samples = comparison.series.as_ref().unwrap().samples.iter();
    let timed: Vec<_> = samples
        .filter(|sample| sample.contender == Contender::Qemu)
        .collect();
    let [sample] = timed[..] else {
        panic!("{timed:?}");
    };
    assert!(!sample.has_failed() && sample.launch_to_exit_ns.is_some());
    // No runner of containers stands beside it.
    let contenders: Vec<_> = comparison.others.iter().map(|it| it.contender).collect();
    assert_eq!(contenders, [Contender::HostProcess, Contender::Qemu]);
    assert!(text.contains("qemu against vm cold: "), "{text}");
    for id in ["W01", "W13"] {
        let mut warnings = comparison.warnings.iter();
        assert!(
            warnings.any(|it| it.id == id && it.detail.contains("qemu")),
            "{id}"
        );
    }
    assert_same_guest(&told);
}

/// KVM or nothing, and the guest that our own monitor boots.
fn assert_same_guest(told: &Path) {
    let told = fs::read_to_string(told).unwrap();
    let words: Vec<_> = told.lines().collect();
    let after = |flag: &str| {
        let at = words.iter().position(|word| *word == flag).unwrap();
        words[at + 1]
    };
    assert_eq!(words.iter().filter(|word| **word == "-accel").count(), 1);
    assert_eq!(after("-accel"), "kvm");
    assert_eq!(after("-m"), "131072k");
    assert_eq!(after("-smp"), "1");
    assert!(after("-kernel").ends_with("/vmlinux"), "{told}");
    assert!(after("-initrd").ends_with(".cpio"), "{told}");
    assert!(after("-blockdev").contains("read-only=on"), "{told}");
    assert!(after("-blockdev").ends_with(".erofs"), "{told}");
    assert!(after("-append").starts_with("quiet "), "{told}");
}

#[test]
fn a_qemu_that_dies_is_told_in_its_own_words_and_has_no_figure() {
    let Some((_place, world)) = world_of_root() else {
        return;
    };
    let script = "echo 'error: failed to set MSR 0x10a to 0x69' >&2; echo Aborted >&2; exit 134";
    let path = with_qemu(&world, script);
    let args = [
        "--runs=1",
        "--budget-time=1ms",
        "--metrics=main,exit",
        "busybox",
        "true",
    ];
    let (comparison, text) = compared(&world, &path, &args);
    let said = "QEMU could not run it: error: failed to set MSR 0x10a to 0x69";
    let failed = Outcome::Failed {
        error: said.into(),
        remedy: None,
    };
    assert_eq!(qemu(&comparison).outcome, failed);
    assert!(
        text.contains(&format!("qemu is not timed: {said}")),
        "{text}"
    );
    let mut samples = comparison.series.iter().flat_map(|it| &it.samples);
    assert!(samples.all(|sample| sample.contender != Contender::Qemu));
}

#[test]
fn where_there_is_no_qemu_it_is_told_how_to_have_it() {
    let Some((_place, world)) = world_of_root() else {
        return;
    };
    let path = without_qemu(&world);
    let args = ["--runs=0", "busybox", "true"];
    let (comparison, _) = compared(&world, path.to_str().unwrap(), &args);
    let failed = Outcome::Failed {
        error: "it is not installed".into(),
        remedy: Some("apt install qemu-system-x86, or leave it out of --against".into()),
    };
    assert_eq!(qemu(&comparison).outcome, failed);
}
