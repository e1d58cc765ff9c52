//! A root made from busybox, and the launch of a command in it.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command as HostCommand;

use container::ContainerLauncher;
use launch::{
    Command, Credentials, Digest, Error, ExitStatus, Instance, Launcher, NoProgress, RootFs, Stdio,
    Workload,
};
use tempfile::TempDir;

const BUSYBOX: &str = "/bin/busybox";

/// An image and a run directory, both gone with the world that made them.
pub struct World {
    dir: PathBuf,
    _made: Option<TempDir>,
}

/// What a command left behind.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl World {
    pub fn new() -> Self {
        assert!(
            Path::new(BUSYBOX).exists(),
            "these tests need Debian's package busybox-static"
        );
        let made = TempDir::new().unwrap();
        let world = Self {
            dir: made.path().to_owned(),
            _made: Some(made),
        };
        let bin = world.image().join("bin");
        fs::create_dir_all(&bin).unwrap();
        fs::copy(BUSYBOX, bin.join("busybox")).unwrap();
        let applets = HostCommand::new(BUSYBOX).arg("--list").output().unwrap();
        for applet in String::from_utf8(applets.stdout).unwrap().lines() {
            if applet != "busybox" {
                symlink("busybox", bin.join(applet)).unwrap();
            }
        }
        world
    }

    /// One that another process made.
    pub fn visit(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            _made: None,
        }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn image(&self) -> PathBuf {
        self.dir.join("image")
    }

    pub fn run_dir(&self) -> PathBuf {
        self.dir.join("run")
    }

    /// The names of the instances that the run directory knows.
    pub fn instances(&self) -> Vec<String> {
        fs::read_dir(self.run_dir())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.starts_with('.'))
            .collect()
    }

    /// A workload that runs `argv` as root in `/`.
    pub fn workload(&self, argv: &[&str]) -> Workload {
        self.workload_as(argv, "/", Credentials::default())
    }

    pub fn workload_as(&self, argv: &[&str], cwd: &str, credentials: Credentials) -> Workload {
        let env = ["PATH=/bin", "GREETING=hello"];
        let root = RootFs {
            layers: self.image().into(),
            digest: Digest::from_bytes(&[0; 32]),
            read_only: false,
        };
        let command = Command::new(argv.iter().copied(), env, cwd, credentials).unwrap();
        Workload::new(root, command, "testhost".parse().unwrap())
    }

    pub fn launch(&self, workload: &Workload, stdio: Stdio) -> Result<Box<dyn Instance>, Error> {
        ContainerLauncher::new(self.run_dir())
            .prepare(workload, &NoProgress)?
            .launch(stdio)
    }

    pub fn run(&self, workload: &Workload) -> Result<Outcome, Error> {
        let (stdout, stdout_end) = pipe();
        let (stderr, stderr_end) = pipe();
        let stdio = Stdio {
            stdin: File::open("/dev/null").unwrap().into(),
            stdout: stdout_end,
            stderr: stderr_end,
        };
        let instance = self.launch(workload, stdio)?;
        let read = |mut file: File| {
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            text
        };
        let stdout = read(stdout);
        let stderr = read(stderr);
        let status = instance.wait(None)?.unwrap();
        Ok(Outcome {
            status,
            stdout,
            stderr,
        })
    }

    /// Runs a shell script, which must end with 0, and returns what it printed.
    pub fn output_of(&self, script: &str) -> String {
        let outcome = self.run(&self.workload(&["sh", "-c", script])).unwrap();
        assert_eq!(outcome.status, ExitStatus::Exited(0), "{outcome:?}");
        outcome.stdout
    }

    pub fn status_of(&self, argv: &[&str]) -> ExitStatus {
        self.run(&self.workload(argv)).unwrap().status
    }
}

pub fn pipe() -> (File, OwnedFd) {
    let (reader, writer) = std::io::pipe().unwrap();
    (OwnedFd::from(reader).into(), writer.into())
}

/// Whether the test runs as root; says so if not, since it then tests nothing.
pub fn is_root(what: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED, needs root: {what}");
    }
    root
}
