//! The jaula binary as a user starts it, and what a user sees of it.

// Each test binary uses its own part of this.
#![allow(dead_code)]
#![allow(clippy::unwrap_used)]

pub mod ann;
pub mod comparison;
pub mod counter;
pub mod cpu_quota;
pub mod detached;
pub mod lan;
pub mod loop_device;
pub mod nobody;
pub mod oci;
pub mod refused;
pub mod schema;
pub mod small_disk;
pub mod terminal;
mod traces;

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bench::Way;
use launch::Side;
use tempfile::TempDir;

/// After this a run hangs. Longest is a VM on a host that emulates its kernel mode and has more
/// to do.
const HANGS_AFTER: Duration = Duration::from_secs(240);

/// How many VMs run at once: on such a host each keeps a CPU busy.
const VMS_AT_ONCE: u32 = 2;

/// The binary.
pub const JAULA: &str = env!("CARGO_BIN_EXE_jaula");

/// `jaula run` with the flags for this way.
pub fn run(way: Way) -> &'static [&'static str] {
    match way {
        Way::Container => &["run", "--as", "container"],
        Way::VmCold => &["run", "--as", "vm", "--start", "cold"],
        Way::VmWarm => &["run", "--as", "vm", "--start", "warm"],
    }
}

/// Whether this machine can run that side at all; if not, it is said.
pub fn can_run(side: Side) -> bool {
    if side == Side::Container {
        return true;
    }
    match File::options().read(true).write(true).open("/dev/kvm") {
        Ok(_) => true,
        Err(error) => {
            eprintln!("SKIPPED: /dev/kvm can't be opened: {error}");
            false
        }
    }
}

/// A run directory of the test's own, so that what is left in it is the test's.
pub struct World {
    dir: TempDir,
}

impl World {
    pub fn new() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
        }
    }

    /// One in which a VM runs, and the place for that; `None` where there can be no VMs, which is said.
    pub fn for_vms() -> Option<(Option<Place>, Self)> {
        can_run(Side::Vm).then(|| (Place::take(Side::Vm), Self::new()))
    }

    /// Where instances have their directories.
    pub fn run_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("run")
    }

    /// A directory for what else a test needs.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// jaula, with nothing to read and its output captured.
    pub fn jaula<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        self.command(JAULA, args)
    }

    /// Another program, that may start jaula.
    pub fn command<'a>(&self, program: &str, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .env("JAULA_RUN_DIR", self.run_dir())
            .env("JAULA_DATA_DIR", self.dir().join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs `jaula` with these arguments to its end.
    pub fn run<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Seen {
        see(self.jaula(args), b"")
    }
}

/// What a user saw.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Seen {
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

/// Runs `command` to its end, with `input` to read if there is any.
pub fn see(mut command: Command, input: &[u8]) -> Seen {
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn().unwrap();
    let stdin = child.stdin.take();
    let mut stdout = child.stdout.take().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    thread::scope(|scope| {
        if let Some(mut stdin) = stdin {
            // A command need not read all of it.
            scope.spawn(move || stdin.write_all(input));
        }
        let stdout = scope.spawn(move || {
            let mut bytes = Vec::new();
            stdout.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let stderr = scope.spawn(move || {
            let mut bytes = Vec::new();
            stderr.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let status = wait(&mut child);
        Seen {
            code: status.code(),
            stdout: stdout.join().unwrap(),
            stderr: stderr.join().unwrap(),
        }
    })
}

/// Waits for the end of a run that must end.
pub fn wait(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + HANGS_AFTER;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it hangs");
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// One of the few places for a running VM.
pub struct Place(());

static TAKEN: Mutex<u32> = Mutex::new(0);
static FREED: Condvar = Condvar::new();
static TEMPLATE: OnceLock<()> = OnceLock::new();

impl Place {
    /// Waits for a place, if the side needs one. There is a template then: what is said while one
    /// is built is in no test's output.
    pub fn take(side: Side) -> Option<Self> {
        (side == Side::Vm).then(|| {
            TEMPLATE.get_or_init(build_template);
            let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
            let mut taken = FREED
                .wait_while(taken, |taken| *taken >= VMS_AT_ONCE)
                .unwrap_or_else(PoisonError::into_inner);
            *taken += 1;
            Self(())
        })
    }
}

fn build_template() {
    let built = World::new().run(["template", "build"]);
    assert_eq!(built.code, Some(0), "{}", built.stderr);
}

impl Drop for Place {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        FREED.notify_one();
    }
}
