//! Many containers: a thousand one after another, to see whether they leave anything that slows the
//! next, and five hundred at once, to see what one more costs and whether all are gone afterwards.
//!
//! Each is `jaula run` as a whole process. Needs the release build of `jaula`.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use bench::{Environment, pss_bytes, quantile, size, time};
use launch::MonotonicNs;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Containers one after another.
const IN_A_ROW: usize = 1000;
/// Containers at once.
const AT_ONCE: usize = 500;
/// The early and the late ones are compared by the median of this many.
const COMPARED: usize = 20;
/// The first ones, which read from the disk what the others find in memory.
const WARM_UP: usize = 10;
/// Says that it runs, and goes on until its input ends.
const ANSWER: [&str; 4] = ["busybox", "sh", "-c", "echo here; read line"];

fn main() -> Result<()> {
    let jaula = jaula()?;
    println!("many containers: {}", Environment::of_this_host(None));
    in_a_row(&jaula)?;
    at_once(&jaula)
}

fn in_a_row(jaula: &Path) -> Result<()> {
    let mut samples_ns = Vec::with_capacity(IN_A_ROW);
    for _ in 0..IN_A_ROW {
        let before = MonotonicNs::now();
        let status = Command::new(jaula)
            .args(["run", "busybox", "true"])
            .stdin(Stdio::null())
            .status()?;
        samples_ns.push(MonotonicNs::now().since(before));
        if !status.success() {
            return Err(format!("container {} ended with {status}", samples_ns.len()).into());
        }
    }
    let early_ns = median(&samples_ns[WARM_UP..WARM_UP + COMPARED]);
    let late_ns = median(&samples_ns[IN_A_ROW - COMPARED..]);
    println!("  {IN_A_ROW} in a row, launch to exit of `true`:");
    print(
        &format!("median of {COMPARED} after the first {WARM_UP}"),
        time(early_ns),
    );
    print(&format!("median of the last {COMPARED}"), time(late_ns));
    print("all", time(median(&samples_ns)));
    println!(
        "    the late ones take {:.2} times the early ones",
        late_ns as f64 / early_ns as f64
    );
    Ok(())
}

fn at_once(jaula: &Path) -> Result<()> {
    let run_dir = tempfile::tempdir()?;
    let start = MonotonicNs::now();
    let mut containers = Vec::with_capacity(AT_ONCE);
    for _ in 0..AT_ONCE {
        containers.push(Container::start(jaula, run_dir.path())?);
    }
    for container in &mut containers {
        container.answer()?;
    }
    let answered_ns = MonotonicNs::now().since(start);
    let shares_bytes = containers.iter().map(|it| pss_bytes(it.jaula.id()));
    let shares_bytes = shares_bytes.collect::<std::io::Result<Vec<_>>>()?;
    let start = MonotonicNs::now();
    for container in &mut containers {
        container.let_end();
    }
    for container in containers {
        container.end()?;
    }
    let gone_ns = MonotonicNs::now().since(start);
    println!("  {AT_ONCE} at once:");
    print("all have answered after", time(answered_ns));
    print("PSS of jaula for each, median", size(median(&shares_bytes)));
    print("all gone after", time(gone_ns));
    print("directories left", directories(run_dir.path())?.to_string());
    Ok(())
}

/// One that runs until its input ends.
struct Container {
    jaula: Child,
    output: BufReader<ChildStdout>,
}

impl Container {
    fn start(jaula: &Path, run_dir: &Path) -> Result<Self> {
        let mut jaula = Command::new(jaula)
            .args(["run", "-i"])
            .args(ANSWER)
            .env("JAULA_RUN_DIR", run_dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = jaula.stdout.take().ok_or("no output")?;
        let output = BufReader::new(output);
        Ok(Self { jaula, output })
    }

    fn answer(&mut self) -> Result<()> {
        let mut answer = String::new();
        self.output.read_line(&mut answer)?;
        match answer.as_str() {
            "here\n" => Ok(()),
            _ => Err("a container did not answer".into()),
        }
    }

    fn let_end(&mut self) {
        drop(self.jaula.stdin.take());
    }

    fn end(mut self) -> Result<()> {
        // `read` fails at the end of its input.
        match self.jaula.wait()?.code() {
            Some(1) => Ok(()),
            code => Err(format!("a container ended with {code:?}").into()),
        }
    }
}

fn directories(dir: &Path) -> Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(dir)? {
        count += usize::from(entry?.file_type()?.is_dir());
    }
    Ok(count)
}

fn median(samples: &[u64]) -> u64 {
    quantile(samples, 0.5).unwrap_or_default()
}

fn print(what: &str, figure: String) {
    println!("    {what:43} {figure}");
}

/// The release binary: it is built beside the directory of this bench's own.
fn jaula() -> Result<PathBuf> {
    let bench = std::env::current_exe()?;
    let jaula = bench
        .parent()
        .and_then(Path::parent)
        .map(|dir| dir.join("jaula"))
        .filter(|jaula| jaula.exists());
    Ok(jaula.ok_or("build jaula first: cargo build --release")?)
}
