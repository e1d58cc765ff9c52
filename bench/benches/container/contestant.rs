use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bench::floors::Child;
use bench::quantile;
use host::search_path::is_installed;
use launch::MonotonicNs;

use crate::Result;

pub const NOT_INSTALLED: &str = "is not installed";

/// One that is timed, and what was timed.
pub struct Contestant {
    name: String,
    entrant: Entrant,
    samples_ns: Vec<u64>,
}

/// What it is that runs.
pub enum Entrant {
    /// Nothing but the kernel's part.
    Floor(Child),
    /// A program with its arguments, and where it keeps its instances if it is ours.
    Program(Vec<String>, Option<PathBuf>),
    /// A peer that has no time, and why.
    Out(String),
}

impl Entrant {
    /// Our own, with what it keeps of an instance in `run_dir`.
    pub fn jaula(command: Vec<String>, run_dir: &Path) -> Self {
        Self::Program(command, Some(run_dir.join("jaula")))
    }
}

impl Contestant {
    pub fn new(name: &str, entrant: Entrant) -> Self {
        Self {
            name: name.to_owned(),
            entrant,
            samples_ns: Vec::new(),
        }
    }

    /// A program that may not be installed.
    pub fn peer(name: &str, command: Vec<String>) -> Self {
        let entrant = match command.first().is_some_and(|program| is_installed(program)) {
            true => Entrant::Program(command, None),
            false => Entrant::Out(NOT_INSTALLED.to_owned()),
        };
        Self::new(name, entrant)
    }

    /// Runs it twice: what is read from the disk once is not what is compared. A peer that can't
    /// run on this host is out.
    pub fn warm_up(&mut self) -> Result<()> {
        if let Entrant::Program(words, None) = &self.entrant {
            let (program, args) = words.split_first().ok_or("no command")?;
            let output = Command::new(program).args(args).output()?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                self.entrant = Entrant::Out(format!("can't run here ({}): {said}", output.status));
            }
        }
        self.run_once().map(drop)
    }

    /// Why it has no time, if it has none.
    pub fn out(&self) -> Option<&str> {
        match &self.entrant {
            Entrant::Out(why) => Some(why),
            _ => None,
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs it once and keeps how long that took.
    pub fn sample(&mut self) -> Result<()> {
        if let Some(sample_ns) = self.run_once()? {
            self.samples_ns.push(sample_ns);
        }
        Ok(())
    }

    /// Runs it once, in nanoseconds; it must succeed. `None` if it is out.
    fn run_once(&self) -> Result<Option<u64>> {
        match &self.entrant {
            Entrant::Out(_) => Ok(None),
            Entrant::Floor(floor) => Ok(Some(floor.run_once()?)),
            Entrant::Program(words, run_dir) => run_once(words, run_dir.as_deref()).map(Some),
        }
    }

    /// `None` without samples.
    pub fn quantile_ns(&self, share: f64) -> Option<u64> {
        quantile(&self.samples_ns, share)
    }
}

fn run_once(words: &[String], run_dir: Option<&Path>) -> Result<u64> {
    let (program, args) = words.split_first().ok_or("no command")?;
    let mut command = Command::new(program);
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(File::options().write(true).open("/dev/null")?);
    if let Some(run_dir) = run_dir {
        command.env("JAULA_RUN_DIR", run_dir);
    }
    let start = MonotonicNs::now();
    let status = command.status()?;
    let end = MonotonicNs::now();
    if !status.success() {
        return Err(format!("{} ended with {status}", words.join(" ")).into());
    }
    Ok(end.since(start))
}
