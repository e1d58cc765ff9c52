//! The instance's cgroup, on the host this runs on. Needs root and the memory controller.

#![allow(clippy::unwrap_used)]

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use host::cgroup::{Controller, DeviceRules, Error, Extras};
use host::{Cgroup, InstanceDir, Placement, RunDir};
use launch::Resources;
use nix::unistd::{Pid, geteuid};
use tempfile::TempDir;

/// A run directory of the test's own.
fn run_dir() -> (TempDir, RunDir) {
    let scratch = tempfile::tempdir().unwrap();
    let run = RunDir::at(scratch.path().join("run")).unwrap();
    (scratch, run)
}

/// The instance's cgroup; `None`, said aloud, on a host where none can be made.
fn cgroup(instance: &InstanceDir, resources: &Resources) -> Option<Cgroup> {
    cgroup_with(instance, resources, &Extras::default())
}

fn cgroup_with(instance: &InstanceDir, resources: &Resources, extras: &Extras) -> Option<Cgroup> {
    match instance.make_cgroup(resources, extras) {
        Ok(Placement::Own(cgroup)) => Some(cgroup),
        Ok(Placement::Inherited(why)) => {
            eprintln!("SKIPPED, this host can't be tested on: {why}");
            None
        }
        Err(error) if !geteuid().is_root() => {
            eprintln!("SKIPPED, needs root: {error}");
            None
        }
        Err(error) => panic!("{error:?}"),
    }
}

/// An instance in a run directory of its own, and its cgroup, as [`cgroup`] gives it.
fn instance_with_cgroup(resources: &Resources) -> Option<((TempDir, RunDir), InstanceDir, Cgroup)> {
    let (scratch, run) = run_dir();
    let instance = run.create(None).unwrap();
    let cgroup = cgroup(&instance, resources)?;
    Some(((scratch, run), instance, cgroup))
}

/// Where it was made, one directory with version 2, one a controller with version 1.
fn directories(instance: &Path) -> Vec<PathBuf> {
    let record = fs::read(instance.join("cgroups")).unwrap();
    record
        .split(|&b| b == 0)
        .filter(|path| !path.is_empty())
        .map(|path| OsStr::from_bytes(path).into())
        .collect()
}

/// What the first of these files that is there says.
fn setting(directories: &[PathBuf], files: &[&str]) -> String {
    let text = directories
        .iter()
        .flat_map(|dir| files.iter().map(move |file| dir.join(file)))
        .find_map(|path| fs::read_to_string(path).ok());
    text.unwrap_or_else(|| panic!("none of {files:?} in {directories:?}"))
        .trim()
        .to_owned()
}

/// A shell that entered the cgroup before it was executed.
fn shell(cgroup: &Cgroup, script: &str) -> Child {
    let entrance = cgroup.entrance().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", script]).stdout(Stdio::piped());
    // SAFETY: `enter` does nothing but write(2), which is async-signal-safe.
    unsafe { command.pre_exec(move || entrance.enter()) };
    command.spawn().unwrap()
}

fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    line
}

fn all() -> Resources {
    Resources {
        memory: Some("64m".parse().unwrap()),
        cpus: Some("0.5".parse().unwrap()),
        pids: Some("20".parse().unwrap()),
        ..Resources::default()
    }
}

#[test]
fn limits_are_read_back() {
    let (_scratch, run) = run_dir();
    let instance = run.create(None).unwrap();
    let Some(_cgroup) = cgroup(&instance, &all()) else {
        return;
    };
    let at = directories(instance.path());
    let memory = setting(&at, &["memory.limit_in_bytes", "memory.max"]);
    let cpu = setting(&at, &["cpu.cfs_quota_us", "cpu.max"]);
    let pids = setting(&at, &["pids.max"]);
    assert_eq!(memory, "67108864");
    assert!(cpu == "50000" || cpu == "50000 100000", "{cpu}");
    assert_eq!(pids, "20");
}

#[test]
fn a_memory_limit_leaves_no_swap() {
    let (_scratch, run) = run_dir();
    let instance = run.create(None).unwrap();
    let Some(_cgroup) = cgroup(&instance, &all()) else {
        return;
    };
    let at = directories(instance.path());
    let swap = setting(&at, &["memory.memsw.limit_in_bytes", "memory.swap.max"]);
    assert!(swap == "67108864" || swap == "0", "{swap}");
}

#[test]
fn a_child_that_enters_is_in_every_directory() {
    let Some((_run, instance, cgroup)) = instance_with_cgroup(&all()) else {
        return;
    };
    let mut child = shell(&cgroup, "echo; exec sleep 1000");
    first_line(&mut child);
    for dir in directories(instance.path()) {
        let pids = fs::read_to_string(dir.join("cgroup.procs")).unwrap();
        assert_eq!(pids.trim(), child.id().to_string(), "{dir:?}");
    }
    cgroup.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_process_that_is_added_is_in_every_directory() {
    let Some((_run, instance, cgroup)) = instance_with_cgroup(&all()) else {
        return;
    };
    let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
    cgroup.add(Pid::from_raw(child.id() as i32)).unwrap();
    for dir in directories(instance.path()) {
        let pids = fs::read_to_string(dir.join("cgroup.procs")).unwrap();
        assert_eq!(pids.trim(), child.id().to_string(), "{dir:?}");
    }
    cgroup.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn killing_spares_no_process() {
    let Some((_run, instance, cgroup)) = instance_with_cgroup(&Resources::default()) else {
        return;
    };
    let script = "for i in 1 2 3 4 5; do sleep 1000 & done; echo; wait";
    let mut child = shell(&cgroup, script);
    first_line(&mut child);
    cgroup.kill().unwrap();
    for dir in directories(instance.path()) {
        assert_eq!(fs::read_to_string(dir.join("cgroup.procs")).unwrap(), "");
    }
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

#[test]
fn dropping_removes_it_with_what_runs_in_it() {
    let Some((_run, instance, cgroup)) = instance_with_cgroup(&all()) else {
        return;
    };
    let mut child = shell(&cgroup, "echo; exec sleep 1000");
    first_line(&mut child);
    drop(cgroup);
    for dir in directories(instance.path()) {
        assert!(!dir.exists(), "{dir:?}");
    }
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

#[test]
fn cgroups_that_a_workload_made_in_it_are_removed_too() {
    let Some((_run, instance, cgroup)) = instance_with_cgroup(&Resources::default()) else {
        return;
    };
    let at = directories(instance.path());
    fs::create_dir_all(at[0].join("a/b")).unwrap();
    fs::create_dir(at[0].join("c")).unwrap();
    let mut child = shell(&cgroup, "echo; exec sleep 1000");
    first_line(&mut child);
    fs::write(at[0].join("a/b/cgroup.procs"), child.id().to_string()).unwrap();
    cgroup.remove().unwrap();
    assert!(!at[0].exists());
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

#[test]
fn a_footprint_shows_the_memory_that_was_touched() {
    const TOUCHED_BYTES: u64 = 8 << 20;
    /// What memory.stat may be behind by: 64 pages a CPU (`memcg_vmstats_needs_flush`,
    /// mm/memcontrol.c), of those that this test may run on.
    const BEHIND_BYTES: u64 = 4 << 20;
    let Some((_run, _instance, cgroup)) = instance_with_cgroup(&Resources::default()) else {
        return;
    };
    let script =
        format!("x=$(head -c {TOUCHED_BYTES} /dev/zero | tr '\\0' x); echo; read -r _; : \"$x\"");
    let mut child = shell(&cgroup, &script);
    first_line(&mut child);
    let footprint = cgroup.footprint().unwrap();
    assert!(
        footprint.anon_bytes >= TOUCHED_BYTES - BEHIND_BYTES,
        "{footprint:?}"
    );
    assert!(footprint.anon_bytes < 8 * TOUCHED_BYTES, "{footprint:?}");
    assert!(footprint.kernel_bytes > 0, "{footprint:?}");
    assert!(
        footprint.peak_bytes >= footprint.current_bytes,
        "{footprint:?}"
    );
    assert!(
        footprint.current_bytes + BEHIND_BYTES >= footprint.anon_bytes,
        "{footprint:?}"
    );
    cgroup.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_kill_for_want_of_memory_is_counted() {
    let resources = Resources {
        memory: Some("8m".parse().unwrap()),
        ..Resources::default()
    };
    let Some((_run, _instance, cgroup)) = instance_with_cgroup(&resources) else {
        return;
    };
    assert_eq!(cgroup.oom_kills().unwrap(), 0);
    let child = shell(&cgroup, "exec dd if=/dev/zero of=/dev/null bs=64M count=1");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(9));
    assert_eq!(cgroup.oom_kills().unwrap(), 1);
}

#[test]
fn a_kill_for_want_of_memory_in_a_cgroup_that_the_workload_made_is_counted_too() {
    let resources = Resources {
        memory: Some("8m".parse().unwrap()),
        ..Resources::default()
    };
    let Some((_run, instance, cgroup)) = instance_with_cgroup(&resources) else {
        return;
    };
    let below = directories(instance.path())[0].join("below");
    fs::create_dir(&below).unwrap();
    let script = format!(
        "echo $$ > {}/cgroup.procs; exec dd if=/dev/zero of=/dev/null bs=64M count=1",
        below.display()
    );
    let output = shell(&cgroup, &script).wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(9));
    assert_eq!(cgroup.oom_kills().unwrap(), 1);
}

#[test]
fn swap_is_limited_as_asked() {
    for (memory_swap, v1, v2) in [
        ("96m", "100663296", "33554432"),
        ("64m", "67108864", "0"),
        ("-1", "9223372036854771712", "max"),
    ] {
        let (_scratch, run) = run_dir();
        let instance = run.create(None).unwrap();
        let resources = Resources {
            memory_swap: Some(memory_swap.parse().unwrap()),
            ..all()
        };
        if let Err(host::rundir::Error::Cgroup(Error::NoSwapAccounting)) =
            instance.make_cgroup(&resources, &Extras::default())
        {
            eprintln!("SKIPPED: this kernel does not account for swap");
            return;
        }
        let Some(_cgroup) = cgroup(&instance, &resources) else {
            return;
        };
        let at = directories(instance.path());
        let swap = setting(&at, &["memory.memsw.limit_in_bytes", "memory.swap.max"]);
        assert!(swap == v1 || swap == v2, "{memory_swap}: {swap}");
    }
}

#[test]
fn a_command_runs_on_the_chosen_cpus_alone() {
    let resources = Resources {
        cpuset: Some("0".parse().unwrap()),
        ..Resources::default()
    };
    let Some((_run, _instance, cgroup)) = instance_with_cgroup(&resources) else {
        return;
    };
    let script = "grep Cpus_allowed_list /proc/self/status";
    let output = shell(&cgroup, script).wait_with_output().unwrap();
    let list = String::from_utf8(output.stdout).unwrap();
    assert_eq!(list.split_ascii_whitespace().last(), Some("0"));
}

#[test]
fn cpus_that_are_not_ours_are_refused_and_leave_nothing() {
    let (_scratch, run) = run_dir();
    let instance = run.create(None).unwrap();
    let resources = Resources {
        cpuset: Some("8000".parse().unwrap()),
        ..Resources::default()
    };
    match instance.make_cgroup(&resources, &Extras::default()) {
        Err(host::rundir::Error::Cgroup(Error::Cpus { .. })) => {}
        Err(error) if !geteuid().is_root() => eprintln!("SKIPPED, needs root: {error}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(directory_names(instance.path()), [""; 0]);
}

fn everything() -> Extras {
    Extras {
        statistics: true,
        freezer: true,
        devices: Some(DeviceRules::usual()),
    }
}

#[test]
fn another_process_finds_it_by_the_instances_name() {
    let (_scratch, run) = run_dir();
    let instance = run.create(None).unwrap();
    assert!(run.cgroup_of(instance.id()).unwrap().is_none());
    let Some(cgroup) = cgroup_with(&instance, &all(), &everything()) else {
        return;
    };
    let view = run.cgroup_of(instance.id()).unwrap().unwrap();
    view.check_joinable().unwrap();
    let entrance = view.entrance().unwrap();
    let mut command = Command::new("sleep");
    // SAFETY: `enter` does nothing but write(2), which is async-signal-safe.
    unsafe { command.arg("1000").pre_exec(move || entrance.enter()) };
    let mut child = command.spawn().unwrap();
    for dir in directories(instance.path()) {
        let pids = fs::read_to_string(dir.join("cgroup.procs")).unwrap();
        assert_eq!(pids.trim(), child.id().to_string(), "{dir:?}");
    }
    assert_eq!(view.oom_kills().unwrap(), 0);
    assert_eq!(
        view.footprint().unwrap().charge,
        cgroup.footprint().unwrap().charge
    );
    view.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    drop(view);
    assert!(directories(instance.path()).iter().all(|dir| dir.exists()));
}

#[test]
fn usage_says_what_was_used() {
    const BYTES: u64 = 4 << 20;
    let (scratch, run) = run_dir();
    let instance = run.create(None).unwrap();
    let Some(cgroup) = cgroup_with(&instance, &all(), &everything()) else {
        return;
    };
    let file = scratch.path().join("written");
    // Direct: with version 1, nobody is charged for what is written from the page cache later.
    let script = format!(
        "dd if=/dev/zero of={} bs={BYTES} count=1 oflag=direct 2>&-; echo; exec sleep 1000",
        file.display()
    );
    let mut child = shell(&cgroup, &script);
    first_line(&mut child);
    let usage = cgroup.usage().unwrap();
    assert_eq!(usage.pids, Some(1));
    assert_eq!(usage.memory_limit_bytes, Some(64 << 20));
    assert!(usage.cpu_ns.is_some_and(|ns| ns > 1_000_000), "{usage:?}");
    assert!(
        usage.memory_bytes.is_some_and(|bytes| bytes > 4096),
        "{usage:?}"
    );
    match usage.block_written_bytes {
        Some(written) if has_block_device(&file) => assert!(written >= BYTES, "{usage:?}"),
        _ => eprintln!(
            "SKIPPED in part: writes to {} are not counted",
            file.display()
        ),
    }
    cgroup.kill().unwrap();
    child.wait().unwrap();
}

/// Whether what is written to the file goes to a block device that the kernel names.
fn has_block_device(file: &Path) -> bool {
    let device = std::os::unix::fs::MetadataExt::dev(&fs::metadata(file).unwrap());
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    Path::new(&format!("/sys/dev/block/{major}:{minor}")).exists()
}

#[test]
fn without_controllers_for_it_processes_are_counted_one_by_one() {
    let Some((_run, _instance, cgroup)) = instance_with_cgroup(&Resources::default()) else {
        return;
    };
    let mut child = shell(&cgroup, "sleep 1000 & sleep 1000 & echo; wait");
    first_line(&mut child);
    assert_eq!(cgroup.usage().unwrap().pids, Some(3));
    cgroup.kill().unwrap();
    child.wait().unwrap();
}

/// The state that the kernel shows of a process, `D` or `S` for instance.
fn state(pid: u32) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("State:"));
    line.unwrap().to_owned()
}

#[test]
fn frozen_processes_stand_still_until_they_are_thawed() {
    let (_scratch, run) = run_dir();
    let instance = run.create(None).unwrap();
    let Some(cgroup) = cgroup_with(&instance, &Resources::default(), &everything()) else {
        return;
    };
    let mut child = shell(
        &cgroup,
        "while read -r line; do :; done < /dev/zero & echo; wait",
    );
    first_line(&mut child);
    let used = || cgroup.usage().unwrap().cpu_ns;
    cgroup.freeze().unwrap();
    let before = used();
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(used(), before, "{}", state(child.id()));
    cgroup.thaw().unwrap();
    while used() == before {
        std::thread::yield_now();
    }
    cgroup.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_is_frozen_is_killed_and_removed() {
    let (_scratch, run) = run_dir();
    let instance = run.create(None).unwrap();
    let Some(cgroup) = cgroup_with(&instance, &all(), &everything()) else {
        return;
    };
    let mut child = shell(&cgroup, "echo; exec sleep 1000");
    first_line(&mut child);
    cgroup.freeze().unwrap();
    cgroup.remove().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

#[test]
fn without_a_freezer_there_is_no_freezing() {
    let Some((_run, instance, cgroup)) = instance_with_cgroup(&Resources::default()) else {
        return;
    };
    let has_one = directories(instance.path())[0]
        .join("cgroup.freeze")
        .exists();
    match cgroup.freeze() {
        Ok(()) if has_one => {}
        Err(Error::NoFreezer) if !has_one => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn devices_that_no_rule_allows_are_kept_away() {
    let (_scratch, run) = run_dir();
    let instance = run.create(None).unwrap();
    let Some(cgroup) = cgroup_with(&instance, &Resources::default(), &everything()) else {
        return;
    };
    let script = ": < /dev/zero && echo zero; : < /dev/kmsg && echo kmsg";
    let output = shell(&cgroup, script).wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "zero\n");
}

#[test]
fn a_name_that_another_cgroup_has_is_refused_and_that_one_spared() {
    let (_scratch, run) = run_dir();
    let (_other_scratch, other_run) = run_dir();
    let instance = run.create(None).unwrap();
    let Some(_cgroup) = cgroup(&instance, &Resources::default()) else {
        return;
    };
    let namesake = other_run.create(Some(instance.id())).unwrap();
    let error = namesake
        .make_cgroup(&Resources::default(), &Extras::default())
        .unwrap_err();
    assert!(
        matches!(error, host::rundir::Error::Cgroup(Error::Exists(_))),
        "{error:?}"
    );
    drop(namesake);
    assert!(directories(instance.path()).iter().all(|dir| dir.exists()));
}

/// Runs itself a second time, as the run that will be killed.
#[test]
fn a_sweep_clears_what_a_killed_run_left() {
    const NAME: &str = "a_sweep_clears_what_a_killed_run_left";
    const RUN_DIR: &str = "JAULA_TEST_RUN_DIR";
    if let Some(path) = std::env::var_os(RUN_DIR) {
        let run = RunDir::at(path).unwrap();
        let instance = run.create(None).unwrap();
        let Some(cgroup) = cgroup(&instance, &all()) else {
            return;
        };
        let mut child = shell(&cgroup, "echo; exec sleep 1000");
        first_line(&mut child);
        println!("\n{}\nis up", instance.id());
        child.wait().unwrap();
        return;
    }
    let (_scratch, run) = run_dir();
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(RUN_DIR, run.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: Vec<_> = BufReader::new(owner.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .take_while(|line| line != "is up")
        .collect();
    let instance = lines.last().unwrap();
    let leftover = run.path().join(instance);
    let cgroups = leftover.exists().then(|| directories(&leftover));
    owner.kill().unwrap();
    owner.wait().unwrap();
    let Some(cgroups) = cgroups else {
        eprintln!("SKIPPED: {lines:?}");
        return;
    };
    assert!(cgroups.iter().all(|dir| dir.exists()));

    let swept = run.sweep().unwrap();

    assert_eq!(swept.cleared, [instance.parse().unwrap()]);
    assert!(swept.failed.is_empty(), "{swept:?}");
    assert!(!leftover.exists());
    // A cgroup can't be removed while a process is in it.
    assert!(cgroups.iter().all(|dir| !dir.exists()));
}

/// Runs as an ordinary user, by running itself again as one if it is root's.
#[test]
fn without_permission_there_is_no_cgroup_and_no_limit() {
    const NAME: &str = "without_permission_there_is_no_cgroup_and_no_limit";
    const NOBODY: u32 = 65534;
    if geteuid().is_root() {
        // Where an ordinary user can get at it.
        let scratch = tempfile::Builder::new().tempdir_in("/tmp").unwrap();
        let copy = scratch.path().join("test");
        fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
        for path in [scratch.path(), &copy] {
            let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(path, open).unwrap();
        }
        let output = Command::new(&copy)
            .args(["--exact", NAME])
            .uid(NOBODY)
            .gid(NOBODY)
            .env("TMPDIR", "/tmp")
            .current_dir("/")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        return;
    }
    let (_scratch, run) = run_dir();
    let instance = run.create(None).unwrap();
    if instance
        .make_cgroup(&Resources::default(), &Extras::default())
        .unwrap()
        .cgroup()
        .is_some()
    {
        eprintln!("SKIPPED: cgroups are delegated to this user");
        return;
    }
    for (resources, controller) in [
        (
            Resources {
                cpus: None,
                pids: None,
                ..all()
            },
            Controller::Memory,
        ),
        (
            Resources {
                cpuset: Some("0".parse().unwrap()),
                ..Resources::default()
            },
            Controller::Cpuset,
        ),
        (
            Resources {
                memory: None,
                pids: None,
                ..all()
            },
            Controller::Cpu,
        ),
        (
            Resources {
                memory: None,
                cpus: None,
                ..all()
            },
            Controller::Pids,
        ),
    ] {
        let error = instance
            .make_cgroup(&resources, &Extras::default())
            .unwrap_err();
        assert!(error.to_string().contains(controller.name()), "{error}");
        assert!(error.remedy().is_some(), "{error}");
    }
    assert_eq!(directory_names(instance.path()), [""; 0]);
}

fn directory_names(dir: &Path) -> Vec<String> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}
