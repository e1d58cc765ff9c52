//! How quickly data gets into a VM and out of it: a file of its disk, read from end to end, held
//! against the host's reading of the same file; and what a command prints, through the guest's sockets
//! to a pipe of the host's.
//!
//! Each is the command's own time, less that of one that does nothing, on the host's clock. Where a
//! guest's kernel is emulated, each byte that it copies costs half a microsecond: there is little to be
//! copied then, and the figures are of that emulator.

#[allow(dead_code)] // Others need more of it.
mod vm_runs;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::thread;

use bench::{Environment, quantile, size};
use guest_images::{Cache, ImageRef};
use launch::{Instance, MonotonicNs, Prepared, Stdio};
use vm_runs::{Result, of_image};
use vmm::StartMode;
use vmm::ring0::Ring0;

const BUSYBOX: &str = "/bin/busybox";
/// How often each is done.
const RUNS: usize = 3;
/// What the guest, and the host, read at once.
const CHUNK_BYTES: usize = 64 << 10;

/// What is read and printed.
struct Amounts {
    file_bytes: u64,
    printed_bytes: u64,
}

impl Amounts {
    fn of(ring0: Ring0) -> Self {
        match ring0 {
            Ring0::Hardware { .. } => Self {
                file_bytes: 256 << 20,
                printed_bytes: 1 << 30,
            },
            Ring0::Emulated { .. } => Self {
                file_bytes: 1 << 20,
                printed_bytes: 1 << 20,
            },
        }
    }
}

fn main() -> Result<()> {
    if vmm::is_monitor() {
        vmm::monitor_main();
    }
    let cache = Cache::new(host::paths::cache_dir()?, []);
    let ring0 = vmm::ring0::of_host(&vmm::kvm::open()?)?;
    println!("vm data: {}", Environment::of_this_host(Some(ring0)));
    let amounts = Amounts::of(ring0);
    let root = tempfile::tempdir()?;
    let file = root.path().join("data");
    make_root(root.path(), amounts.file_bytes)?;

    let image = ImageRef::Directory(root.path().to_owned());
    let prepare = |argv: &[&str]| of_image(&cache, &image, argv, None, StartMode::Warm);
    let nothing_ns = median(|| run_ns(prepare(&["true"])?.as_ref(), 0))?;
    let own_ns = |argv: &[&str], printed_bytes| -> Result<u64> {
        let prepared = prepare(argv)?;
        let run_ns = median(|| run_ns(prepared.as_ref(), printed_bytes))?;
        Ok(run_ns.saturating_sub(nothing_ns).max(1))
    };

    let guest_ns = own_ns(&["dd", "if=/data", "of=/dev/null", "bs=64k"], 0)?;
    let host_ns = median(|| read_ns(&file))?;
    println!(
        "  {:45} {}, {:.4} % of the host's {}, {} of it",
        "disk, a file read from end to end",
        rate(amounts.file_bytes, guest_ns),
        100.0 * host_ns as f64 / guest_ns as f64,
        rate(amounts.file_bytes, host_ns),
        size(amounts.file_bytes),
    );
    let printed = amounts.printed_bytes.to_string();
    let print_ns = own_ns(
        &["head", "-c", &printed, "/dev/zero"],
        amounts.printed_bytes,
    )?;
    println!(
        "  {:45} {}, {} of it",
        "standard output, to a pipe",
        rate(amounts.printed_bytes, print_ns),
        size(amounts.printed_bytes),
    );
    Ok(())
}

/// busybox, and a file that does not compress.
fn make_root(root: &Path, file_bytes: u64) -> io::Result<()> {
    let bin = root.join("bin");
    fs::create_dir(&bin)?;
    for name in ["true", "dd", "head"] {
        fs::copy(BUSYBOX, bin.join(name))?;
    }
    let mut random = File::open("/dev/urandom")?.take(file_bytes);
    io::copy(&mut random, &mut File::create(root.join("data"))?)?;
    Ok(())
}

fn median(mut sample_ns: impl FnMut() -> Result<u64>) -> Result<u64> {
    let samples_ns = (0..RUNS).map(|_| sample_ns()).collect::<Result<Vec<_>>>()?;
    quantile(&samples_ns, 0.5).ok_or_else(|| "no samples".into())
}

/// From the doorbell to the end of the command, which prints so much.
fn run_ns(prepared: &dyn Prepared, printed_bytes: u64) -> Result<u64> {
    let (mut output, stdout) = io::pipe()?;
    let reader = thread::spawn(move || io::copy(&mut output, &mut io::sink()));
    let instance = prepared.launch(Stdio {
        stdout: stdout.into(),
        ..Stdio::null()?
    })?;
    let status = instance.wait(None)?;
    let read = reader.join().map_err(|_| "the reader panicked")??;
    if status.map(|status| status.code()) != Some(0) || read != printed_bytes {
        return Err(format!("the command ended with {status:?} after {read} bytes").into());
    }
    span_ns(instance.as_ref(), "run")
}

fn span_ns(instance: &dyn Instance, name: &str) -> Result<u64> {
    let timeline = instance.timeline();
    let span = timeline.spans().iter().find(|span| span.name == name);
    Ok(span.ok_or("the timeline lacks a span")?.duration_ns)
}

/// The host's reading of a file that is in its memory, as the guest's disk is.
fn read_ns(path: &Path) -> Result<u64> {
    let before = MonotonicNs::now();
    let mut file = File::open(path)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    while file.read(&mut chunk)? > 0 {}
    Ok(MonotonicNs::now().since(before).max(1))
}

fn rate(bytes: u64, ns: u64) -> String {
    format!("{:.3} MB/s", bytes as f64 * 1e3 / ns as f64)
}
