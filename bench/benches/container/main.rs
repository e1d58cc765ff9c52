//! Launch to exit of `true`: `jaula run` against its peers in the same root, and against the least
//! that the kernel takes for it.
//!
//! Each is a whole process, from the moment before its `execve` to the moment after it was reaped;
//! no shell is between. They take turns, forwards and backwards (ABC CBA), in one run, so that what
//! disturbs the machine disturbs all alike. A peer that is not installed, or can't run here, is named with the reason.
//!
//! Needs the release build of `jaula`, and root: the OCI runtimes have no other way that is like
//! ours. What jaula and they keep of an instance is on a tmpfs, as `/run` is on most hosts.

mod bundle;
mod contestant;
mod memory;
mod spans;

use std::error::Error;
use std::path::{Path, PathBuf};

use bench::floors::{self, Child};
use bench::{Environment, size, time};
use guest_images::store::Store;
use guest_images::{Cache, ImageRef, Sources};
use launch::{NoProgress, RootFs};

use bundle::Bundle;
use contestant::{Contestant, Entrant, NOT_INSTALLED};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Rounds, each of which runs every contestant twice.
const ROUNDS: usize = 50;

/// The same limits for all that can set any: memory, CPUs, processes.
const MEMORY_BYTES: u64 = 128 << 20;
const CPUS: u64 = 1;
const PIDS: u64 = 64;

fn main() -> Result<()> {
    let tmpfs = tempfile::tempdir_in("/dev/shm")?;
    let root = image_root()?;
    let jaula = jaula()?;
    let mut contestants = contestants(root.layers.top(), &jaula, tmpfs.path())?;
    contest(&mut contestants)?;
    println!("container: {}", Environment::of_this_host(None));
    println!("  launch to exit of `true`, {} runs each", 2 * ROUNDS);
    print(&contestants);
    println!("  where the time between launch() and the command's end goes, medians");
    for (name, span_ns) in spans::of_a_launch(root, &tmpfs.path().join("spans"))? {
        println!("    {name:8} {:>8}", time(span_ns));
    }
    println!("  jaula's own memory while a container runs (PSS)");
    let [waiting, long] = memory::while_it_runs(&jaula, tmpfs.path())?;
    println!("    right after the launch {:>9}", size(waiting));
    println!("    two seconds later      {:>9}", size(long));
    Ok(())
}

/// Runs all that there are in turns.
fn contest(contestants: &mut [Contestant]) -> Result<()> {
    for contestant in &mut *contestants {
        contestant.warm_up()?;
    }
    for _ in 0..ROUNDS {
        let count = contestants.len();
        for index in (0..count).chain((0..count).rev()) {
            contestants[index].sample()?;
        }
    }
    Ok(())
}

fn contestants(root: &Path, jaula: &Path, tmpfs: &Path) -> Result<Vec<Contestant>> {
    let words = |words: &[&str]| {
        words
            .iter()
            .map(|&word| word.to_owned())
            .collect::<Vec<_>>()
    };
    let root_word = root.to_str().ok_or("the image's path is no text")?;
    let program = root.join("bin/true");
    let program_word = program.to_str().ok_or("the image's path is no text")?;
    let unshare = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"];
    let bwrap = ["bwrap", "--unshare-all", "--bind", root_word, "/"];
    let mut all = vec![
        Contestant::new(
            "clone3, execve, wait: the floor",
            Entrant::Floor(Child::executing(floors::namespaces(), &program)?),
        ),
        Contestant::peer(
            "unshare, the same namespaces",
            words(&[&["unshare", "--fork"], &unshare[..], &[program_word]].concat()),
        ),
        Contestant::peer("bwrap --unshare-all", {
            words(&[&bwrap[..], &["true"]].concat())
        }),
        Contestant::peer("bwrap with /proc and /dev", {
            let mounts = ["--proc", "/proc", "--dev", "/dev", "true"];
            words(&[&bwrap[..], &mounts].concat())
        }),
    ];
    for runtime in ["crun", "runc", "youki"] {
        let name = format!("{runtime} run");
        all.push(match Bundle::new(runtime, tmpfs, root)? {
            Some(bundle) => Contestant::peer(&name, bundle.command()),
            None => Contestant::new(&name, Entrant::Out(NOT_INSTALLED.to_owned())),
        });
    }
    let mut command = jaula_run(jaula)?;
    command.push("true".into());
    all.push(Contestant::new("jaula run", Entrant::jaula(command, tmpfs)));
    Ok(all)
}

/// `jaula run` up to the image, with all limits on.
fn jaula_run(jaula: &Path) -> Result<Vec<String>> {
    let jaula = jaula.to_str().ok_or("the path of jaula is no text")?;
    let (memory, cpus, pids) = (MEMORY_BYTES, CPUS, PIDS);
    let limits = format!("--memory={memory} --cpus={cpus} --pids-limit={pids}");
    let words = ["run"].into_iter().chain(limits.split(' '));
    let words = [jaula].into_iter().chain(words).chain(["busybox"]);
    Ok(words.map(str::to_owned).collect())
}

fn print(contestants: &[Contestant]) {
    let median = |contestant: &Contestant| contestant.quantile_ns(0.5);
    let ours = contestants.last().and_then(median);
    let floor = contestants.first().and_then(median);
    for contestant in contestants {
        let name = contestant.name();
        let Some(p50) = median(contestant) else {
            println!("    {name:31} {}", contestant.out().unwrap_or_default());
            continue;
        };
        let p90 = contestant.quantile_ns(0.9).unwrap_or_default();
        let times = |of: Option<u64>, over: u64| of.unwrap_or_default() as f64 / over as f64;
        println!(
            "    {name:31} p50 {:>8}  p90 {:>8}  {:6.2} floors  jaula takes {:.2} of it",
            time(p50),
            time(p90),
            1.0 / times(floor, p50),
            times(ours, p50),
        );
    }
}

/// The built-in image, of which one directory is all.
fn image_root() -> Result<RootFs> {
    let cache = Cache::new(host::paths::cache_dir()?, []);
    let store = Store::new(host::paths::data_dir()?.join("images"));
    let image = ImageRef::Busybox.resolve(Sources::new(&cache, &store), &NoProgress)?;
    Ok(image.root(false))
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
