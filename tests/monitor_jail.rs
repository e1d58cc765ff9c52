//! What a running VM's monitor may still do, as the kernel tells it: nothing.

#![allow(clippy::unwrap_used)]

mod harness;

use std::fs;
use std::path::PathBuf;

use harness::ann::{Ann, Ranges};
use harness::counter::Counter;
use harness::nobody::is_root;
use harness::{Place, Seen, World, can_run};
use launch::Side;

/// No capability.
const NONE: &str = "0000000000000000";
/// CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID, SETFCAP: capabilities(7).
const OVER_FILES: &str = "00000000800000db";

const INSPECT: [&str; 3] = ["inspect", "-f", ".State.Pid"];

/// A monitor that runs a guest, as `/proc` has it.
struct Monitor {
    pid: String,
    proc: PathBuf,
}

impl Monitor {
    /// That of an instance, by what `jaula inspect` says.
    fn of(inspected: &Seen) -> Self {
        assert_eq!(inspected.code, Some(0), "{}", inspected.stderr);
        let pid = inspected.stdout_text().trim().to_owned();
        Self {
            proc: PathBuf::from(format!("/proc/{pid}")),
            pid,
        }
    }

    /// A field of the status of each thread, with the thread's name.
    fn of_threads(&self, key: &str) -> Vec<(String, String)> {
        let threads = fs::read_dir(self.proc.join("task")).unwrap();
        let of_thread = |task: PathBuf| {
            let name = fs::read_to_string(task.join("comm")).unwrap();
            let status = fs::read_to_string(task.join("status")).unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let value = line.unwrap().trim_start_matches(':').trim().to_owned();
            (name.trim().to_owned(), value)
        };
        threads
            .map(|entry| of_thread(entry.unwrap().path()))
            .collect()
    }

    #[track_caller]
    fn assert_all(&self, key: &str, expected: &str) {
        for (thread, value) in self.of_threads(key) {
            assert_eq!(value, expected, "{thread}: {key}");
        }
    }

    /// What is true of every monitor, whoever started it.
    #[track_caller]
    fn assert_closed_in(&self) {
        self.assert_all("NoNewPrivs", "1");
        // SECCOMP_MODE_FILTER: proc_pid_status(5).
        self.assert_all("Seccomp", "2");
        for set in ["CapInh", "CapBnd", "CapAmb"] {
            self.assert_all(set, NONE);
        }
        let root = fs::read_dir(self.proc.join("root")).unwrap();
        assert_eq!(root.count(), 0);
        let limits = fs::read_to_string(self.proc.join("limits")).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core"));
        let core: Vec<_> = core.unwrap().split_whitespace().collect();
        assert_eq!(core[..6], ["Max", "core", "file", "size", "0", "0"]);
        for kind in ["mnt", "net", "ipc", "uts", "cgroup"] {
            let namespace = |of: &str| fs::read_link(format!("/proc/{of}/ns/{kind}")).unwrap();
            assert_ne!(namespace(&self.pid), namespace("self"), "{kind}");
        }
        let mounts = fs::read_to_string(self.proc.join("mountinfo")).unwrap();
        assert_eq!(mounts.lines().count(), 1, "{mounts}");
        assert!(mounts.contains(" / / ro,nosuid,nodev,noexec"), "{mounts}");
    }

    fn threads(&self) -> Vec<String> {
        let names = self.of_threads("Pid").into_iter().map(|(name, _)| name);
        names.collect()
    }
}

#[test]
fn a_monitor_of_roots_is_nobody_with_nothing() {
    if !is_root() || !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let world = World::new();
    let mut counter = Counter::start(&world, "one");
    assert_eq!(counter.say("a"), "a 1");
    let monitor = Monitor::of(&world.run([&INSPECT[..], &["one"]].concat()));
    monitor.assert_closed_in();
    for set in ["CapPrm", "CapEff"] {
        monitor.assert_all(set, NONE);
    }
    for ids in ["Uid", "Gid"] {
        for (thread, value) in monitor.of_threads(ids) {
            let all: Vec<u32> = value
                .split_whitespace()
                .map(|id| id.parse().unwrap())
                .collect();
            assert!(all.iter().all(|id| *id >= 0x7000_0000), "{thread}: {value}");
        }
    }
    monitor.assert_all("Groups", "");
    for role in [
        "vcpu", "devices", "watch", "control", "stdin", "stdout", "stderr",
    ] {
        assert!(monitor.threads().iter().any(|name| name == role), "{role}");
    }
    assert_eq!(counter.end(), (Some(1), String::new()));
}

#[test]
fn only_the_thread_of_the_shares_has_rights_over_files() {
    if !is_root() || !can_run(Side::Vm) {
        return;
    }
    let _place = Place::take(Side::Vm);
    let world = World::new();
    let shared = world.dir().join("shared");
    fs::create_dir(&shared).unwrap();
    let volume = format!("{}:/d", shared.display());
    let run = [
        "run", "-i", "--as", "vm", "--start", "warm", "--name", "two", "-v", &volume,
    ];
    let command = ["busybox", "sh", "-c", harness::counter::COUNTER];
    let mut counter = Counter::from(world.jaula([&run[..], &command].concat()));
    assert_eq!(counter.say("a"), "a 1");
    let monitor = Monitor::of(&world.run([&INSPECT[..], &["two"]].concat()));
    monitor.assert_closed_in();
    for set in ["CapPrm", "CapEff"] {
        for (thread, value) in monitor.of_threads(set) {
            let expected = match thread.as_str() {
                "shares" => OVER_FILES,
                _ => NONE,
            };
            assert_eq!(value, expected, "{thread}: {set}");
        }
    }
    assert!(monitor.threads().iter().any(|name| name == "shares"));
    assert_eq!(counter.end(), (Some(1), String::new()));
}

/// What she starts answers, and is closed in.
fn of_ann(ranges: Ranges) {
    if !can_run(Side::Vm) {
        return;
    }
    let Some(ann) = Ann::new(ranges) else {
        return;
    };
    let _place = Place::take(Side::Vm);
    ann.give_kernel();
    let run = [
        "run", "-i", "--as", "vm", "--start", "cold", "--name", "hers",
    ];
    let command = ["busybox", "sh", "-c", harness::counter::COUNTER];
    let jaula = ann.jaula(&[&run[..], &command].concat());
    let mut counter = Counter::from(jaula);
    assert_eq!(counter.say("a"), "a 1");
    let monitor = Monitor::of(&ann.run(&[&INSPECT[..], &["hers"]].concat()));
    monitor.assert_closed_in();
    for set in ["CapPrm", "CapEff"] {
        monitor.assert_all(set, NONE);
    }
    let namespace = |of: &str| fs::read_link(format!("/proc/{of}/ns/user")).unwrap();
    assert_ne!(namespace(&monitor.pid), namespace("self"));
    let uid = &monitor.of_threads("Uid")[0].1;
    assert!(!uid.split_whitespace().any(|id| id == "0"), "{uid}");
    assert_eq!(counter.end().0, Some(1));
}

#[test]
fn a_monitor_of_an_ordinary_users_has_a_user_namespace_of_its_own() {
    of_ann(Ranges::None);
}

#[test]
fn a_monitor_of_who_has_many_users_is_one_of_them_without_rights() {
    of_ann(Ranges::Given);
}
