use std::path::Path;

use bench::quantile;
use container::ContainerLauncher;
use guest_images::{UserSpec, look_up};
use launch::{Command, Launcher, NoProgress, Prepared, RootFs, Stdio, Workload};

use crate::{CPUS, MEMORY_BYTES, PIDS, ROUNDS, Result};

/// Where the time between the entry of `launch()` and the command's end goes: the spans of the
/// timeline, each with its median in nanoseconds.
pub fn of_a_launch(root: RootFs, run_dir: &Path) -> Result<Vec<(String, u64)>> {
    let credentials = look_up(&UserSpec::ROOT, &root)?.credentials;
    let command = Command::new(["true"], ["PATH=/bin"], "/", credentials)?;
    let mut workload = Workload::new(root, command, "bench".parse()?);
    workload.resources.memory = Some(MEMORY_BYTES.to_string().parse()?);
    workload.resources.cpus = Some(CPUS.to_string().parse()?);
    workload.resources.pids = Some(PIDS.to_string().parse()?);
    let prepared = ContainerLauncher::new(run_dir).prepare(&workload, &NoProgress)?;
    let mut spans: Vec<(String, Vec<u64>)> = Vec::new();
    for _ in 0..2 * ROUNDS {
        for (index, (name, span_ns)) in one(prepared.as_ref())?.into_iter().enumerate() {
            match spans.get_mut(index) {
                Some((_, samples_ns)) => samples_ns.push(span_ns),
                None => spans.push((name, vec![span_ns])),
            }
        }
    }
    let median = |(name, samples_ns): (String, Vec<u64>)| (name, quantile(&samples_ns, 0.5));
    let medians = spans.into_iter().map(median);
    Ok(medians.filter_map(|(name, ns)| Some((name, ns?))).collect())
}

fn one(prepared: &dyn Prepared) -> Result<Vec<(String, u64)>> {
    let instance = prepared.launch(Stdio::null()?)?;
    instance.wait(None)?;
    let timeline = instance.timeline();
    let spans = timeline.spans().iter();
    Ok(spans
        .map(|span| (span.name.to_string(), span.duration_ns))
        .collect())
}
