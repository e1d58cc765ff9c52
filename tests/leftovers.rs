//! However a run ends, nothing of it is left that the next one does not clear away.

#![allow(clippy::unwrap_used)]

mod harness;

use std::fs::{self, File};
use std::io::Read;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bench::Way;
use harness::nobody::is_root;
use harness::{Place, World, can_run, run, wait};
use launch::Side;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How often each signal comes.
const MOMENTS: u32 = 10;

/// Moments that nobody chose, told by a number that brings them back.
struct Moments {
    seed: u64,
    state: u64,
}

impl Moments {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let seed = now.as_nanos() as u64 | 1;
        Self { seed, state: seed }
    }

    /// Up to `longest`, a tenth or a hundredth of it, each as often: most happens early. Drawn
    /// with Marsaglia's xorshift64.
    fn next(&mut self, longest: Duration) -> Duration {
        let mut draw = || {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            self.state >> 11
        };
        let scale = [1, 10, 100][(draw() % 3) as usize];
        let longest_us = longest.as_micros() as u64 / scale;
        Duration::from_micros(draw() % longest_us)
    }
}

/// Ends a run at a random moment of its first `life`, again and again, and looks.
fn an_end_at_any_moment_leaves_nothing(way: Way, signal: Signal, life: Duration) {
    if !can_run(way.side()) {
        return;
    }
    let world = World::new();
    let mut moments = Moments::new();
    for round in 0..MOMENTS {
        let moment = moments.next(life);
        eprintln!(
            "{way}, {signal} after {moment:?} (seed {}, round {round})",
            moments.seed
        );
        let place = Place::take(way.side());
        let name = format!("{}{round}", world.name_prefix());
        let mut child = start(&world, way, &name);
        thread::sleep(moment);
        let pid = Pid::from_raw(child.id().try_into().unwrap());
        kill(pid, signal).unwrap();
        if signal == Signal::SIGINT {
            // PID 1 of the command ignores it; a user would insist.
            insist(&mut child, pid);
        }
        wait(&mut child);
        world.wait_for_orphans();
        drop(place);
        let next = world.run(["run", "busybox", "true"]);
        assert_eq!((next.code, next.stderr.as_str()), (Some(0), ""));
        world.assert_no_traces();
    }
}

fn start(world: &World, way: Way, name: &str) -> Child {
    let args = [run(way), &["--name", name, "busybox", "sleep", "1000"]].concat();
    world
        .jaula(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn insist(child: &mut Child, pid: Pid) {
    while child.try_wait().unwrap().is_none() {
        kill(pid, Signal::SIGINT).unwrap();
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_container_that_is_killed_leaves_nothing() {
    let life = Duration::from_millis(60);
    an_end_at_any_moment_leaves_nothing(Way::Container, Signal::SIGKILL, life);
}

#[test]
fn a_container_that_is_interrupted_leaves_nothing() {
    let life = Duration::from_millis(60);
    an_end_at_any_moment_leaves_nothing(Way::Container, Signal::SIGINT, life);
}

#[test]
fn a_vm_that_is_killed_while_it_boots_leaves_nothing() {
    let life = Duration::from_secs(15);
    an_end_at_any_moment_leaves_nothing(Way::VmCold, Signal::SIGKILL, life);
}

#[test]
fn a_vm_that_is_killed_while_it_goes_on_leaves_nothing() {
    let life = Duration::from_secs(2);
    an_end_at_any_moment_leaves_nothing(Way::VmWarm, Signal::SIGKILL, life);
}

#[test]
fn a_vm_that_is_interrupted_leaves_nothing() {
    let life = Duration::from_secs(2);
    an_end_at_any_moment_leaves_nothing(Way::VmWarm, Signal::SIGINT, life);
}

/// What the other tests rely on: that their look is not blind. (A container's mounts are in a
/// namespace that ends with its processes; one that got out would be seen in another's.)
#[test]
fn a_running_container_is_seen() {
    let world = World::new();
    let name = format!("{}0", world.name_prefix());
    let mut child = world
        .jaula([
            "run",
            "-i",
            "--name",
            &name,
            "busybox",
            "sh",
            "-c",
            "echo up; read x",
        ])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut up = [0; 3];
    child.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
    let seen = format!("{:?}", world.traces());
    drop(child.stdin.take());
    wait(&mut child);
    for kind in ["process", "cgroup", "file"] {
        assert!(seen.contains(&format!("\"{kind} ")), "no {kind} in {seen}");
    }
}

#[test]
fn an_interrupted_preparation_ends_soon_and_leaves_nothing() {
    let world = World::new();
    let root = world.dir().join("root");
    fs::create_dir(&root).unwrap();
    // Of no size on the disk, and read for a minute.
    let large = File::create(root.join("large")).unwrap();
    large.set_len(64 << 30).unwrap();
    let cache = world.dir().join("cache");
    let mut child = world
        .jaula(["run", "--rootfs", root.to_str().unwrap(), "true"])
        .env("JAULA_CACHE_DIR", &cache)
        .spawn()
        .unwrap();
    // Made after signals are held back, and before the image is read.
    while !world.run_dir().join(".lock").exists() {
        assert_eq!(child.try_wait().unwrap(), None);
        thread::sleep(Duration::from_millis(1));
    }
    kill(
        Pid::from_raw(child.id().try_into().unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
    assert_eq!(wait(&mut child).code(), Some(130));
    let mut said = String::new();
    child.stderr.unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "jaula: interrupted by SIGINT\n");
    world.assert_no_traces();
    assert!(!cache.exists());
}

#[test]
fn an_interrupted_comparison_ends_soon_and_leaves_nothing() {
    if !can_run(Side::Vm) {
        return;
    }
    let world = World::new();
    let name = format!("{}0", world.name_prefix());
    let mut child = world
        .jaula(["compare", "--name", &name, "busybox", "sleep", "1000"])
        .spawn()
        .unwrap();
    while !format!("{:?}", world.traces()).contains(": sleep 1000 \"") {
        assert_eq!(child.try_wait().unwrap(), None);
        thread::sleep(Duration::from_millis(10));
    }
    kill(
        Pid::from_raw(child.id().try_into().unwrap()),
        Signal::SIGTERM,
    )
    .unwrap();
    assert_eq!(wait(&mut child).code(), Some(143));
    world.assert_no_traces();
}

#[test]
fn interrupted_timed_runs_are_reported_and_leave_nothing() {
    if !can_run(Side::Vm) {
        return;
    }
    let world = World::new();
    let name = format!("{}0", world.name_prefix());
    let notes = world.dir().join("notes");
    std::fs::create_dir(&notes).unwrap();
    let volume = format!("{}:/notes", notes.display());
    let mut compare = world.jaula(["compare", "--name", &name, "--json", "--metrics=exit"]);
    compare.args(["--runs=1000", "--budget-time=1h", "-v", &volume]);
    compare.args(["busybox", "sh", "-c", "echo >> /notes/runs; sleep 1"]);
    let child = compare.spawn().unwrap();
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    // Those that are checked, one each way, and a timed one that has begun.
    let runs = || std::fs::read(notes.join("runs")).unwrap_or_default().len();
    while runs() < 4 {
        thread::sleep(Duration::from_millis(10));
    }
    // Two at once are one wish.
    kill(pid, Signal::SIGINT).unwrap();
    kill(pid, Signal::SIGTERM).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.ends_with("jaula: interrupted by SIGINT\n"), "{said}");
    let comparison: bench::Comparison = serde_json::from_slice(&output.stdout).unwrap();
    let series = comparison.series.unwrap();
    assert_eq!(series.ended, bench::Ended::Interrupted);
    assert_eq!(series.runs_asked, 1000);
    world.assert_no_traces();
}

/// What another runner was told to call its cgroups, as soon as the command sleeps in them.
fn foreign_cgroup_of_sleep(world: &World) -> Option<String> {
    let instances = fs::read_dir(world.run_dir()).ok()?.flatten();
    let mut foreign = instances.filter(|it| it.path().join("foreign").exists());
    let name = format!("jaula-{}", foreign.next()?.file_name().to_str()?);
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let is_there = processes.map(|it| it.path()).any(|process| {
        let words = fs::read(process.join("cmdline")).unwrap_or_default();
        let cgroups = fs::read_to_string(process.join("cgroup")).unwrap_or_default();
        words.starts_with(b"sleep\0") && cgroups.contains(&name)
    });
    is_there.then_some(name)
}

#[test]
fn what_another_runner_ran_ends_with_the_next_run_when_its_comparison_is_killed() {
    if !can_run(Side::Vm) || !is_root() {
        return;
    }
    if !host::search_path::is_installed("runc") {
        eprintln!("SKIPPED: runc is not installed");
        return;
    }
    let _place = Place::take(Side::Vm);
    let world = World::new();
    let name = format!("{}0", world.name_prefix());
    let mut compare = world.jaula(["compare", "--name", &name, "--against=runc"]);
    compare.args(["--ready=log:^up$", "busybox"]);
    compare.args(["sh", "-c", "sleep 3; echo up; sleep 1000"]);
    let mut child = compare.spawn().unwrap();
    let foreign = loop {
        assert_eq!(child.try_wait().unwrap(), None);
        if let Some(foreign) = foreign_cgroup_of_sleep(&world) {
            break foreign;
        }
        thread::sleep(Duration::from_millis(10));
    };
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(world.run(["run", "busybox", "true"]).code, Some(0));
    world.assert_no_cgroup(&foreign);
    world.assert_no_traces();
}

#[test]
fn a_run_that_ends_by_itself_leaves_nothing_even_without_a_next_one() {
    for way in [Way::Container, Way::VmCold, Way::VmWarm] {
        if can_run(way.side()) {
            let _place = Place::take(way.side());
            let world = World::new();
            let name = format!("{}0", world.name_prefix());
            let args = [run(way), &["--name", &name, "busybox", "true"]].concat();
            let seen = world.run(args);
            assert_eq!(seen.code, Some(0), "{}", seen.stderr);
            world.assert_no_traces();
        }
    }
}

#[test]
fn a_container_that_leaves_processes_behind_takes_them_with_it() {
    let world = World::new();
    let name = format!("{}0", world.name_prefix());
    let script = "sleep 1000 & setsid sleep 1000 & exit 5";
    let seen = world.run(["run", "--name", &name, "busybox", "sh", "-c", script]);
    assert_eq!(seen.code, Some(5), "{}", seen.stderr);
    world.assert_no_traces();
}
