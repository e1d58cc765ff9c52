//! What the benches of VMs have in common.

use std::error::Error;

use bench::{quantile, time};
use guest_images::store::Store;
use guest_images::{Cache, ImageRef, Sources, look_up};
use launch::{Command, Instance, Launcher, MemoryLimit, NoProgress, Prepared, Workload};
use vmm::{GuestKernel, StartMode, VmLauncher};

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A command in the built-in image, on the built-in kernel, ready to be launched.
pub fn prepare(
    cache: &Cache,
    argv: &[&str],
    memory: Option<MemoryLimit>,
    start: StartMode,
) -> Result<Box<dyn Prepared>> {
    of_image(cache, &ImageRef::Busybox, argv, memory, start)
}

/// The same in another image.
pub fn of_image(
    cache: &Cache,
    image: &ImageRef,
    argv: &[&str],
    memory: Option<MemoryLimit>,
    start: StartMode,
) -> Result<Box<dyn Prepared>> {
    let workload = workload(cache, image, argv, memory)?;
    Ok(launcher(cache, start)?.prepare(&workload, &NoProgress)?)
}

/// Of VMs with the built-in kernel.
pub fn launcher(cache: &Cache, start: StartMode) -> Result<VmLauncher> {
    let run_dir = host::paths::run_dir()?;
    let kernel = GuestKernel::BuiltIn;
    Ok(VmLauncher::new(run_dir, cache.clone(), kernel, start))
}

/// A command in an image.
pub fn workload(
    cache: &Cache,
    image: &ImageRef,
    argv: &[&str],
    memory: Option<MemoryLimit>,
) -> Result<Workload> {
    let store = Store::new(host::paths::data_dir()?.join("images"));
    let image = image.resolve(Sources::new(cache, &store), &NoProgress)?;
    let root = image.root(false);
    let credentials = look_up(&guest_images::UserSpec::ROOT, &root)?.credentials;
    let command = Command::new(argv.to_vec(), ["PATH=/bin"], "/", credentials)?;
    let mut workload = Workload::new(root, command, "bench".parse()?);
    workload.resources.memory = memory;
    Ok(workload)
}

/// From the entry of `launch()` to the end of the span `last`, in nanoseconds.
pub fn until_end_of_ns(instance: &dyn Instance, last: &str) -> Result<u64> {
    let timeline = instance.timeline();
    let spans = timeline.spans();
    let last = spans
        .iter()
        .position(|span| span.name == last)
        .ok_or_else(|| format!("the timeline has no span {last:?}"))?;
    Ok(spans[..=last].iter().map(|span| span.duration_ns).sum())
}

/// Prints quantiles of durations in nanoseconds.
pub fn print_times(what: &str, samples_ns: &[u64]) {
    let at = |share| time(quantile(samples_ns, share).unwrap_or_default());
    println!(
        "  {what:45} p50 {}  p90 {}  max {}  of {}",
        at(0.5),
        at(0.9),
        at(1.0),
        samples_ns.len()
    );
}
