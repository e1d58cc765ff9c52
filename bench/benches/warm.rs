//! VMs of 128 MiB that go on from a template: how soon they run, what one more of them costs, how
//! long a hundred take and whether the last is as quick as the first; and how long it takes to
//! save one.

mod vm_runs;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, PipeReader, pipe};
use std::time::Instant;

use bench::{Environment, pss_bytes, quantile, size, time};
use guest_images::Cache;
use launch::{Instance, MemoryLimit, MonotonicNs, Prepared, Stdio};
use vm_runs::{Result, prepare, print_times, until_end_of_ns};
use vmm::StartMode;
use vmm::snapshot::{SnapshotName, Store};

/// How often each figure is taken.
const RUNS: usize = 30;
/// How many machines there are at once.
const CLONES: usize = 100;
/// The first and the last of them are compared by the median of this many.
const COMPARED: usize = 10;
/// A large machine, beside the default of 128 MiB.
const LARGE: MemoryLimit = MemoryLimit::from_mib(4096);
/// Says that it runs, and goes on until it is killed.
const ANSWER: [&str; 3] = ["sh", "-c", "echo here; exec sleep 10000"];

fn main() -> Result<()> {
    if vmm::is_monitor() {
        vmm::monitor_main();
    }
    let cache = Cache::new(host::paths::cache_dir()?, []);
    let ring0 = vmm::ring0::of_host(&vmm::kvm::open()?)?;
    println!("warm: {}", Environment::of_this_host(Some(ring0)));
    let prepared = prepare(&cache, &ANSWER, None, StartMode::Warm)?;
    starts(prepared.as_ref())?;
    saves(prepared.as_ref())?;
    large_machines(&cache)?;
    clones(prepared.as_ref())
}

fn starts(prepared: &dyn Prepared) -> Result<()> {
    let mut spans: Vec<(String, Vec<u64>)> = Vec::new();
    let (mut to_first_run_ns, mut to_main_ns) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let instance = prepared.launch(Stdio::null()?)?;
        instance.wait_main()?;
        to_first_run_ns.push(until_end_of_ns(instance.as_ref(), "jail")?);
        to_main_ns.push(until_end_of_ns(instance.as_ref(), "exec")?);
        let timeline = instance.timeline();
        for (index, span) in timeline.spans().iter().enumerate() {
            if index == spans.len() {
                spans.push((span.name.to_string(), Vec::new()));
            }
            spans[index].1.push(span.duration_ns);
        }
    }
    print_times("launch() to the first KVM_RUN", &to_first_run_ns);
    print_times("launch() to main", &to_main_ns);
    for (name, samples_ns) in spans {
        print_times(&format!("  of it {name}"), &samples_ns);
    }
    Ok(())
}

/// Of a machine whose command waits.
fn saves(prepared: &dyn Prepared) -> Result<()> {
    let (clone, _) = Clone::start(prepared)?;
    let dir = tempfile::tempdir_in(host::paths::cache_dir()?)?;
    let store = Store::new(dir.path());
    let name: SnapshotName = "bench".parse()?;
    let mut samples_ns = Vec::new();
    for _ in 0..RUNS {
        let before = MonotonicNs::now();
        vmm::save(&host::paths::run_dir()?, clone.instance.id(), &store, &name)?;
        samples_ns.push(MonotonicNs::now().since(before));
        store.remove(&name)?;
    }
    print_times("saving it, with fsync", &samples_ns);
    Ok(())
}

fn large_machines(cache: &Cache) -> Result<()> {
    for start in [StartMode::Cold, StartMode::Warm] {
        let way = match start {
            StartMode::Cold => "cold",
            _ => "warm",
        };
        let sizes = [None, Some(LARGE)];
        let [small, large] = sizes.map(|memory| prepare(cache, &ANSWER, memory, start));
        let machines = [("128 MiB", small?), ("4 GiB", large?)];
        let mut samples_ns = [Vec::new(), Vec::new()];
        // In turns: what disturbs one disturbs the other.
        for _ in 0..RUNS {
            for ((_, machine), samples_ns) in machines.iter().zip(&mut samples_ns) {
                let instance = machine.launch(Stdio::null()?)?;
                samples_ns.push(until_end_of_ns(instance.as_ref(), "jail")?);
            }
        }
        for ((size, _), samples_ns) in machines.iter().zip(&samples_ns) {
            print_times(&format!("{way}, {size}: to the first KVM_RUN"), samples_ns);
        }
    }
    Ok(())
}

/// All at once, each started when the one before has answered.
fn clones(prepared: &dyn Prepared) -> Result<()> {
    let mut clones = Vec::new();
    let mut starts_ns = Vec::new();
    let mut shares_bytes = Vec::new();
    for _ in 0..CLONES {
        let before = pss_of_all_bytes()?;
        let (clone, start_ns) = Clone::start(prepared)?;
        clones.push(clone);
        starts_ns.push(start_ns);
        shares_bytes.push(pss_of_all_bytes()?.saturating_sub(before));
    }
    let median = |samples: &[u64]| quantile(samples, 0.5).unwrap_or_default();
    let (first, last) = (&starts_ns[..COMPARED], &starts_ns[CLONES - COMPARED..]);
    println!("  {CLONES} at once, each from launch() to its answer:");
    println!("    {:43} {}", "the first", time(starts_ns[0]));
    println!("    {:43} {}", "the last", time(starts_ns[CLONES - 1]));
    println!(
        "    median of the first {COMPARED:<22} {}",
        time(median(first))
    );
    println!(
        "    median of the last {COMPARED:<23} {}",
        time(median(last))
    );
    println!(
        "    {:43} {}",
        "PSS of one more, median",
        size(median(&shares_bytes))
    );
    let before = Instant::now();
    drop(clones);
    println!(
        "    {:43} {}",
        "all gone after",
        time(before.elapsed().as_nanos() as u64)
    );
    Ok(())
}

/// A machine whose command has said that it runs.
struct Clone {
    instance: Box<dyn Instance>,
    /// Its command's output, which must not break.
    _output: BufReader<PipeReader>,
}

impl Clone {
    /// Starts one; how long it took to answer, in nanoseconds.
    fn start(prepared: &dyn Prepared) -> Result<(Self, u64)> {
        let (reader, writer) = pipe()?;
        let stdio = Stdio {
            stdin: File::open("/dev/null")?.into(),
            stdout: writer.into(),
            stderr: File::options().write(true).open("/dev/null")?.into(),
        };
        let before = MonotonicNs::now();
        let instance = prepared.launch(stdio)?;
        let mut output = BufReader::new(reader);
        let mut answer = String::new();
        output.read_line(&mut answer)?;
        let start_ns = MonotonicNs::now().since(before);
        if answer != "here\n" {
            return Err("a machine did not answer".into());
        }
        let clone = Self {
            instance,
            _output: output,
        };
        Ok((clone, start_ns))
    }
}

/// The proportional share of memory of all monitors, in bytes.
fn pss_of_all_bytes() -> Result<u64> {
    let children = fs::read_to_string("/proc/thread-self/children")?;
    let mut bytes = 0;
    for pid in children.split_whitespace() {
        bytes += pss_bytes(pid.parse()?)?;
    }
    Ok(bytes)
}
