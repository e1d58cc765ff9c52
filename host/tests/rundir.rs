//! The run directory: who may have a name, and what is cleared.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::thread;

use host::rundir::Error;
use host::{RunDir, packet_filter};
use launch::InstanceId;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::geteuid;
use tempfile::TempDir;

fn run_dir() -> (TempDir, RunDir) {
    let scratch = tempfile::tempdir().unwrap();
    let run = RunDir::at(scratch.path().join("run")).unwrap();
    (scratch, run)
}

fn web() -> InstanceId {
    "web".parse().unwrap()
}

#[test]
fn a_name_has_one_running_instance() {
    let (_scratch, run) = run_dir();
    let first = run.create(Some(&web())).unwrap();
    let error = run.create(Some(&web())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the name web is in use by a running instance"
    );
    drop(first);
    run.create(Some(&web())).unwrap();
}

#[test]
fn a_directory_goes_with_its_instance_and_all_in_it() {
    let (_scratch, run) = run_dir();
    let instance = run.create(Some(&web())).unwrap();
    let path = instance.path().to_owned();
    fs::create_dir_all(path.join("upper/a")).unwrap();
    fs::write(path.join("upper/a/file"), "x").unwrap();
    drop(instance);
    assert!(!path.exists());
}

#[test]
fn a_generated_name_is_12_hexadecimal_digits() {
    let (_scratch, run) = run_dir();
    let instance = run.create(None).unwrap();
    let name = instance.id().as_str();
    assert!(
        name.len() == 12 && name.bytes().all(|b| b.is_ascii_hexdigit()),
        "{name}"
    );
}

#[test]
fn only_its_user_sees_into_a_directory() {
    let (_scratch, run) = run_dir();
    let instance = run.create(None).unwrap();
    for dir in [run.path(), instance.path()] {
        let mode = fs::metadata(dir).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{dir:?}");
    }
}

#[test]
fn a_sweep_spares_running_instances() {
    let (_scratch, run) = run_dir();
    let instance = run.create(None).unwrap();
    let swept = run.sweep().unwrap();
    assert!(swept.cleared.is_empty() && swept.failed.is_empty());
    assert!(instance.path().exists());
}

#[test]
fn a_leftover_is_swept_however_far_its_run_had_come() {
    let (_scratch, run) = run_dir();
    fs::create_dir(run.path().join("empty")).unwrap();
    fs::create_dir_all(run.path().join("full/work/work")).unwrap();
    fs::write(run.path().join("full/cgroups.new"), "/half").unwrap();
    let mut swept = run.sweep().unwrap();
    swept.cleared.sort();
    assert_eq!(
        swept.cleared,
        ["empty".parse().unwrap(), "full".parse().unwrap()]
    );
    assert!(swept.failed.is_empty(), "{swept:?}");
}

#[test]
fn the_name_of_a_leftover_can_be_used_at_once() {
    let (_scratch, run) = run_dir();
    let leftover = run.path().join("web/old");
    fs::create_dir_all(&leftover).unwrap();
    let _instance = run.create(Some(&web())).unwrap();
    assert!(!leftover.exists());
}

#[test]
fn a_leftover_with_a_damaged_record_is_kept_and_named() {
    let (_scratch, run) = run_dir();
    let leftover = run.path().join("web");
    fs::create_dir(&leftover).unwrap();
    fs::write(leftover.join("cgroups"), "/etc\0").unwrap();
    let swept = run.sweep().unwrap();
    assert!(
        matches!(&swept.failed[..], [(id, Error::Damaged(_))] if *id == web()),
        "{swept:?}"
    );
    assert!(leftover.exists());
}

#[test]
fn a_sweep_never_follows_a_symbolic_link() {
    let (scratch, run) = run_dir();
    let outside = scratch.path().join("outside");
    fs::create_dir_all(outside.join("kept")).unwrap();
    symlink(&outside, run.path().join("web")).unwrap();
    run.sweep().unwrap();
    assert!(outside.join("kept").exists());
}

#[test]
fn a_directory_in_other_use_is_no_run_directory() {
    let scratch = tempfile::tempdir().unwrap();
    fs::create_dir(scratch.path().join("photos")).unwrap();
    let error = RunDir::at(scratch.path()).unwrap_err();
    assert!(matches!(error, Error::InUse(_)), "{error:?}");
    assert!(scratch.path().join("photos").exists());
}

#[test]
fn a_directory_that_others_may_write_to_is_no_run_directory() {
    let scratch = tempfile::tempdir().unwrap();
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let error = RunDir::at(scratch.path()).unwrap_err();
    assert!(matches!(error, Error::NotOurs(_)), "{error:?}");
}

#[test]
fn a_symbolic_link_is_no_run_directory() {
    let scratch = tempfile::tempdir().unwrap();
    let (target, link) = (scratch.path().join("target"), scratch.path().join("link"));
    fs::create_dir(&target).unwrap();
    symlink(&target, &link).unwrap();
    let error = RunDir::at(link).unwrap_err();
    assert!(matches!(error, Error::Open { .. }), "{error:?}");
}

#[test]
fn runs_and_sweeps_at_once_do_not_harm_each_other() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("run");
    thread::scope(|scope| {
        for worker in 0..8 {
            let path = &path;
            scope.spawn(move || {
                for round in 0..25 {
                    // Opened anew each time, as another process would.
                    let run = RunDir::at(path).unwrap();
                    let swept = run.sweep().unwrap();
                    assert!(swept.cleared.is_empty(), "{swept:?}");
                    assert!(swept.failed.is_empty(), "{swept:?}");
                    let name: InstanceId = format!("{worker}-{round}").parse().unwrap();
                    let named = run.create(Some(&name)).unwrap();
                    let generated = run.create(None).unwrap();
                    for instance in [&named, &generated] {
                        fs::write(instance.path().join("file"), "x").unwrap();
                    }
                    drop(named);
                    assert!(generated.path().join("file").exists());
                    generated.remove().unwrap();
                }
            });
        }
    });
    let left: Vec<_> = fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, [".lock"]);
}

#[test]
fn rules_that_are_on_record_go_with_the_directory() {
    if !geteuid().is_root() {
        eprintln!("SKIPPED, needs root: rules of the packet filter");
        return;
    }
    // For this thread, so that the machine's own rules stay as they are.
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let (_scratch, run) = run_dir();
    let instance = run.create(Some(&web())).unwrap();
    let address = Ipv4Addr::new(10, 90, 0, 2);
    let table = packet_filter::instance_table(address);
    instance.note_address(address).unwrap();
    let made = Command::new("nft")
        .args(["add", "table", "ip", &table])
        .status();
    assert!(made.unwrap().success());
    assert!(packet_filter::has_table(&table).unwrap());
    instance.remove().unwrap();
    assert!(!packet_filter::has_table(&table).unwrap());
}

#[test]
fn rules_that_are_on_record_but_were_never_made_are_no_obstacle() {
    if !geteuid().is_root() {
        eprintln!("SKIPPED, needs root: rules of the packet filter");
        return;
    }
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let (_scratch, run) = run_dir();
    let instance = run.create(Some(&web())).unwrap();
    instance.note_address(Ipv4Addr::new(10, 90, 0, 2)).unwrap();
    instance.remove().unwrap();
}
