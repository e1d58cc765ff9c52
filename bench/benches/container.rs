//! Launch to exit of `true`: `jaula run` against bubblewrap in the same root, each as a whole
//! process, from the moment before its `execve` to the moment after it was reaped.
//!
//! The three take turns, forwards and backwards (ABC CBA), in one run, so that what disturbs the
//! machine disturbs them alike. No shell is between. Needs the release build of `jaula`, and `bwrap`
//! (Debian package bubblewrap).

use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bench::{Environment, quantile, time};
use guest_images::store::Store;
use guest_images::{Cache, ImageRef, Sources};
use launch::{MonotonicNs, NoProgress};

/// Rounds, each of which runs every contestant twice.
const ROUNDS: usize = 100;

struct Contestant {
    name: &'static str,
    command: Vec<String>,
    samples_ns: Vec<u64>,
}

impl Contestant {
    fn new<'a>(name: &'static str, command: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            name,
            command: command.into_iter().map(str::to_owned).collect(),
            samples_ns: Vec::new(),
        }
    }

    /// Runs it once; it must succeed.
    fn run_once(&self) -> Result<u64, Box<dyn Error>> {
        let (program, args) = self.command.split_first().ok_or("no command")?;
        let mut command = Command::new(program);
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(File::options().write(true).open("/dev/null")?);
        let start = MonotonicNs::now();
        let status = command.status()?;
        let end = MonotonicNs::now();
        if !status.success() {
            return Err(format!("{} ended with {status}", self.command.join(" ")).into());
        }
        Ok(end.since(start))
    }

    fn quantile_ns(&self, share: f64) -> u64 {
        quantile(&self.samples_ns, share).unwrap_or_default()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let cache = Cache::new(host::paths::cache_dir()?, []);
    let store = Store::new(host::paths::data_dir()?.join("images"));
    let image = ImageRef::Busybox.resolve(Sources::new(&cache, &store), &NoProgress)?;
    let root = image.root(false).layers.top().to_owned();
    let root = root.to_str().ok_or("the image's path is no text")?;
    let jaula = jaula()?;
    let jaula = jaula.to_str().ok_or("the path of jaula is no text")?;
    let bare = ["bwrap", "--unshare-all", "--bind", root, "/"];
    let like_ours = ["--proc", "/proc", "--dev", "/dev"];
    let mut contestants = [
        Contestant::new("bwrap --unshare-all", [&bare[..], &["true"]].concat()),
        Contestant::new(
            "bwrap with /proc and /dev",
            [&bare[..], &like_ours, &["true"]].concat(),
        ),
        Contestant::new("jaula run", [jaula, "run", "busybox", "true"]),
    ];
    for contestant in &contestants {
        // Warm: what is read from the disk once is not what is compared.
        contestant.run_once()?;
    }
    for _ in 0..ROUNDS {
        let count = contestants.len();
        for index in (0..count).chain((0..count).rev()) {
            let sample = contestants[index].run_once()?;
            contestants[index].samples_ns.push(sample);
        }
    }
    let baseline_ns = contestants[0].quantile_ns(0.5);
    println!("container: {}", Environment::of_this_host(None));
    println!("  launch to exit of `true`, {} runs each", 2 * ROUNDS);
    for contestant in &contestants {
        let median_ns = contestant.quantile_ns(0.5);
        println!(
            "  {:27} p50 {:>8}  p90 {:>8}  {:.2} times bwrap",
            contestant.name,
            time(median_ns),
            time(contestant.quantile_ns(0.9)),
            median_ns as f64 / baseline_ns as f64,
        );
    }
    Ok(())
}

/// The release binary: it is built beside the directory of this bench's own.
fn jaula() -> Result<PathBuf, Box<dyn Error>> {
    let bench = std::env::current_exe()?;
    let jaula = bench
        .parent()
        .and_then(Path::parent)
        .map(|dir| dir.join("jaula"))
        .filter(|jaula| jaula.exists());
    Ok(jaula.ok_or("build jaula first: cargo build --release")?)
}
