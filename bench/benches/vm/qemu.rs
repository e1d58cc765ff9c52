//! QEMU's `microvm`, where it is installed and runs, with the same kernel, PID 1 and command line.

use std::time::{Duration, Instant};

use bench::processes;
use guest_images::{Cache, ImageRef};
use launch::{Chain, Instance, NoProgress, Prepared, Stdio};
use vmm::StartMode;

use crate::vm_runs::{Result, launcher, print_times, until_end_of_ns, workload};

/// The span that PID 1's first call ends.
const TO_CALL: &str = "boot, connect";
/// How often it is looked whether it is over.
const PAUSE: Duration = Duration::from_millis(1);
/// Longer than a boot takes anywhere.
const PATIENCE: Duration = Duration::from_secs(120);

/// Prints how long it takes from the execution of QEMU to PID 1's first call, or why it does not come
/// that far.
pub fn print(cache: &Cache, argv: &[&str], boots: usize) -> Result<()> {
    let what = "QEMU microvm, execution to PID 1's first call";
    match boots_ns(cache, argv, boots) {
        Ok(boots_ns) => print_times(what, &boots_ns),
        Err(error) => println!("  {what:45} not measured: {}", Chain(error.as_ref())),
    }
    Ok(())
}

fn boots_ns(cache: &Cache, argv: &[&str], boots: usize) -> Result<Vec<u64>> {
    let launcher = launcher(cache, StartMode::Cold)?;
    let workload = workload(cache, &ImageRef::Busybox, argv, None)?;
    let prepared = processes::qemu(&launcher, &workload, &NoProgress)?;
    (0..boots).map(|_| boot_ns(prepared.as_ref())).collect()
}

fn boot_ns(prepared: &dyn Prepared) -> Result<u64> {
    let instance = prepared.launch(Stdio::null()?)?;
    let began = Instant::now();
    while has_not_called(instance.as_ref()) {
        if began.elapsed() > PATIENCE {
            return Err(format!("PID 1 did not call within {} s", PATIENCE.as_secs()).into());
        }
        if instance.wait(Some(PAUSE))?.is_some() {
            break;
        }
    }
    until_end_of_ns(instance.as_ref(), TO_CALL)
}

fn has_not_called(instance: &dyn Instance) -> bool {
    instance.timeline().spans().is_empty()
}
