//! The launcher's side: directories of a test's own, and processes to be looked at.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio as Pipe};
use std::thread;
use std::time::{Duration, Instant};

use guest_images::store::Store;
use guest_images::{Cache, ImageRef, Sources};
use launch::{Credentials, Error, Instance, Launcher, NoProgress, Prepared, Stdio, Workload};
use tempfile::TempDir;
use vmm::{GuestKernel, StartMode, VmLauncher};

use crate::guest::Guest;

/// Makes the test binary a launcher, in this directory.
const LAUNCHER_DIR: &str = "JAULA_TEST_LAUNCHER_DIR";
/// Where it writes what it fails with.
const ERROR: &str = "error";

/// A launcher with a run directory and a cache of its own.
pub struct Host {
    dir: TempDir,
}

impl Host {
    pub fn new(guest: Guest) -> Self {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("kernel"), guest.image()).unwrap();
        fs::create_dir(dir.path().join("root")).unwrap();
        Self { dir }
    }

    pub fn launch(&self) -> Result<Box<dyn Instance>, Error> {
        prepare(self.dir.path()).launch(Stdio::null().unwrap())
    }

    /// What instances have left.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        leftovers(self.dir.path())
    }

    /// Starts a process that launches the guest and waits for it.
    pub fn start_launcher(&self) -> Child {
        Command::new("/proc/self/exe")
            .env(LAUNCHER_DIR, self.dir.path())
            .stdin(Pipe::null())
            .spawn()
            .unwrap()
    }

    /// What such a process failed with.
    pub fn error_of_launcher(&self) -> String {
        fs::read_to_string(self.dir.path().join(ERROR)).unwrap()
    }

    /// Clears what a killed launcher left.
    pub fn sweep(&self) {
        let run = host::RunDir::at(run_dir(self.dir.path())).unwrap();
        let swept = run.sweep().unwrap();
        assert!(swept.failed.is_empty(), "{swept:?}");
    }
}

fn run_dir(dir: &Path) -> PathBuf {
    dir.join("run")
}

fn leftovers(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(run_dir(dir)) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect()
}

fn prepare(dir: &Path) -> Box<dyn Prepared> {
    let cache = Cache::new(dir.join("cache"), []);
    let store = Store::new(dir.join("images"));
    let root = ImageRef::Directory(dir.join("root"))
        .resolve(Sources::new(&cache, &store), &NoProgress)
        .unwrap()
        .root(false);
    let command = launch::Command::new(["true"], [], "/", Credentials::default()).unwrap();
    let workload = Workload::new(root, command, "test".parse().unwrap());
    let kernel = GuestKernel::File(dir.join("kernel"));
    VmLauncher::new(run_dir(dir), cache, kernel, StartMode::Cold)
        .prepare(&workload, &NoProgress)
        .unwrap()
}

/// The directory to launch in, if this process is to be a launcher.
pub fn as_launcher() -> Option<PathBuf> {
    std::env::var_os(LAUNCHER_DIR).map(PathBuf::from)
}

/// What such a process does.
pub fn launch_and_wait(dir: &Path) -> ! {
    let ended = prepare(dir)
        .launch(Stdio::null().unwrap())
        .and_then(|instance| instance.wait(None));
    if let Err(error) = ended {
        fs::write(dir.join(ERROR), error.to_string()).unwrap();
    }
    std::process::exit(0)
}

/// Process IDs of the monitors that `launcher` started and that live.
pub fn monitors_of(launcher: u32) -> Vec<u32> {
    let mut monitors = Vec::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let name = entry.unwrap().file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // proc_pid_stat(5): the name in parentheses, the state, the parent.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        let Some((name, rest)) = stat.rsplit_once(')') else {
            continue;
        };
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next();
        let parent = fields.next().and_then(|parent| parent.parse().ok());
        if name.ends_with("(jaula-monitor") && state != Some("Z") && parent == Some(launcher) {
            monitors.push(pid);
        }
    }
    monitors
}

/// Whether a process exists.
pub fn lives(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Waits for something that must come about, however slow the machine is.
#[track_caller]
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "{what}: waited for a minute");
        thread::sleep(Duration::from_millis(5));
    }
}
