//! Instances that outlive their caller.

use std::thread;
use std::time::{Duration, Instant};

use super::World;

/// A command that goes on until it is asked to end, and says so.
pub const SERVER: &str = "trap 'echo asked; exit 3' TERM; trap 'echo poked' USR1; echo up; \
                      while :; do sleep 0.1; done";

/// Longest that something takes which needs no time.
const SOON: Duration = Duration::from_secs(60);

/// Instances of a test, by names that are the test's own.
pub struct Detached {
    pub world: World,
}

impl Detached {
    pub fn new() -> Self {
        Self {
            world: World::new(),
        }
    }

    pub fn name(&self, number: u32) -> String {
        format!("{}{number}", self.world.name_prefix())
    }

    /// Starts one; it has to work. Its name and its ID.
    pub fn start(&self, number: u32, flags: &[&str], command: &[&str]) -> (String, String) {
        let name = self.name(number);
        let args = [
            &["run", "-d", "--name", &name],
            flags,
            &["busybox"],
            command,
        ]
        .concat();
        let seen = self.world.run(args);
        assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), ""));
        let id = seen.stdout_text().trim_end().to_owned();
        assert!(id.len() == 12, "{id}");
        (name, id)
    }

    pub fn server(&self, number: u32, flags: &[&str]) -> (String, String) {
        let started = self.start(number, flags, &["sh", "-c", SERVER]);
        self.await_log(&started.0, "up\n");
        started
    }

    /// What a command prints that has to work.
    pub fn says(&self, args: &[&str]) -> String {
        let seen = self.world.run(args.iter().copied());
        assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), ""), "{args:?}");
        seen.stdout_text()
    }

    /// What a command says that has to fail as docker's do.
    pub fn fails(&self, args: &[&str]) -> String {
        let seen = self.world.run(args.iter().copied());
        assert_eq!(
            (seen.code, seen.stdout_text().as_str()),
            (Some(1), ""),
            "{args:?}"
        );
        seen.stderr
    }

    pub fn await_log(&self, name: &str, expected: &str) {
        eventually(|| self.world.run(["logs", name]).stdout_text() == expected);
    }

    pub fn field(&self, name: &str, field: &str) -> String {
        self.says(&["inspect", "-f", field, name]).trim_end().into()
    }
}

/// Waits for what must come.
pub fn eventually(mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < SOON, "it never comes");
        thread::sleep(Duration::from_millis(20));
    }
}
