//! What a run may leave behind.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::World;

/// How long the kernel may take to finish what was killed: a VM's memory is taken back page by
/// page.
const SETTLES_WITHIN: Duration = Duration::from_secs(10);

/// Processes, mounts, cgroups and files that belong to a world, and files elsewhere that look
/// like jaula's.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Traces(BTreeSet<String>);

impl World {
    /// Looks until nothing is left, and says what does not go.
    pub fn assert_no_traces(&self) {
        let deadline = Instant::now() + SETTLES_WITHIN;
        loop {
            let traces = self.traces();
            if traces == Traces::default() {
                return;
            }
            assert!(Instant::now() < deadline, "left behind: {traces:#?}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits for what the kernel kills when a jaula is killed. Until then a child that was about to
    /// execute something holds the locks that it was born with, and what they lock is in use.
    pub fn wait_for_orphans(&self) {
        let deadline = Instant::now() + SETTLES_WITHIN;
        loop {
            let Traces(traces) = self.traces();
            let processes: Vec<_> = traces
                .iter()
                .filter(|it| it.starts_with("process"))
                .collect();
            if processes.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "still running: {processes:#?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// What there is now.
    pub fn traces(&self) -> Traces {
        let mut traces = BTreeSet::new();
        // Each name that an instance of this world has or had: they are in its paths.
        let run_dir = self.run_dir();
        let of_this_world = run_dir.to_string_lossy().into_owned();
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let path = process.path();
            let pid = process.file_name().to_string_lossy().into_owned();
            if !pid.bytes().all(|byte| byte.is_ascii_digit()) || pid == own_pid() {
                continue;
            }
            // jaula's own processes inherit the run directory's name; a command does not, and is
            // known by its cgroup.
            let environ = fs::read(path.join("environ")).unwrap_or_default();
            let cgroup = fs::read_to_string(path.join("cgroup")).unwrap_or_default();
            if contains(&environ, &of_this_world) || self.names_one_of_ours(&cgroup) {
                let command = fs::read(path.join("cmdline")).unwrap_or_default();
                let command = String::from_utf8_lossy(&command).replace('\0', " ");
                traces.insert(format!("process {pid}: {command}"));
            }
            let mounts = fs::read_to_string(path.join("mountinfo")).unwrap_or_default();
            for mount in mounts.lines().filter(|line| line.contains(&of_this_world)) {
                traces.insert(format!("mount of {pid}: {mount}"));
            }
        }
        for cgroup in directories_below(Path::new("/sys/fs/cgroup")) {
            if self.names_one_of_ours(&cgroup.to_string_lossy()) {
                traces.insert(format!("cgroup {}", cgroup.display()));
            }
        }
        for entry in fs::read_dir(&run_dir).into_iter().flatten().flatten() {
            if entry.file_name() != ".lock" {
                traces.insert(format!("file {}", entry.path().display()));
            }
        }
        Traces(traces)
    }

    /// There is no cgroup of an instance of this name.
    pub fn assert_no_cgroup(&self, name: &str) {
        let all = directories_below(Path::new("/sys/fs/cgroup"));
        let left: Vec<_> = all
            .iter()
            .filter(|cgroup| cgroup.to_string_lossy().contains(name))
            .collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    }

    fn names_one_of_ours(&self, path: &str) -> bool {
        path.contains(&self.name_prefix())
    }

    /// How the names of this world's instances begin: no other world's do.
    pub fn name_prefix(&self) -> String {
        let dir = self.dir().file_name().unwrap().to_string_lossy();
        let unique: String = dir.chars().filter(char::is_ascii_alphanumeric).collect();
        format!("test-{unique}-")
    }
}

fn own_pid() -> String {
    std::process::id().to_string()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

fn directories_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
                found.push(entry.path());
            }
        }
    }
    found
}
