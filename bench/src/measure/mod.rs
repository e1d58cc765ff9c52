//! One run, and what is measured of it.

mod aside;
mod lasting;
mod look;
mod run;
mod streams;
mod watch;

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use launch::{MonotonicNs, Prepared, Timeline};

use crate::capture::Finished;
use crate::ready::{Probe, Ready};
use crate::{Metric, Outcome, Reported};

pub(crate) use aside::Aside;
pub(crate) use look::{Look, Until};
pub(crate) use run::Run;
pub(crate) use streams::open_stdin;
pub(crate) use watch::{Watched, watch};

use aside::Observation;
use lasting::Lasting;
use streams::Captures;

/// How often a run looks whether it was interrupted, or is due for a reading.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Why a run could not be measured at all.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// What the command reads can't be opened.
    #[error("standard input can't be opened")]
    Stdin(#[source] io::Error),
    /// No pipe, no thread, no `/dev/null`.
    #[error("the output of the command can't be captured")]
    Capture(#[source] io::Error),
    /// The user asked for the end.
    #[error("interrupted")]
    Interrupted,
}

/// Runs `prepared` once, on `stdin`.
pub(crate) fn run(
    prepared: &dyn Prepared,
    stdin: OwnedFd,
    look: Look<'_>,
) -> Result<Run, MeasureError> {
    if look.interrupt.is_raised() {
        return Err(MeasureError::Interrupted);
    }
    let (captures, stdio) = Captures::new(stdin)?;
    let observation = look.observes.map(Observation::start);
    let instance = match prepared.launch(stdio) {
        Ok(instance) => instance,
        Err(error) => return Ok(Run::not_launched(&error)),
    };
    // Not before the launch, which is cheapest while there is one thread.
    let probe = look.readiness.map(Probe::new);
    let capturing = captures.start(probe.as_ref())?;
    let asking = probe.as_ref().map(|probe| probe.ask(instance.as_ref()));
    let asking = asking.transpose().map_err(MeasureError::Capture)?.flatten();
    let ready = probe.as_ref().map(Probe::ready);

    let mut aside = Aside::of(instance.as_ref(), look, observation);
    let Watched { outcome, footprint } = watch(instance.as_ref(), ready, look, &mut aside)?;
    // Only if it is of interest: it takes some of the time until all is gone.
    let cpu_ns = match look.wants(Metric::Cpu) {
        true => instance.cpu_ns().ok().flatten(),
        false => None,
    };
    let seen = aside.finish(instance.as_ref(), outcome.is_some(), cpu_ns);
    drop(asking);
    let lasting = match outcome {
        None => lasting::measure(instance.as_ref(), look)?,
        Some(_) => Lasting::default(),
    };
    let timeline = instance.timeline();
    // Nobody holds the writing ends after this, so that both captures end.
    drop(instance);
    let gone = MonotonicNs::now();

    let has_ended = outcome.is_some();
    let ended_at = match has_ended {
        true => Some(timeline.end()),
        false => lasting.killed.map(|it| it.at),
    };
    let stdout = capturing.stdout.finish()?;
    let (outcome, mut reported) = reported(outcome.or(lasting.failed), &stdout);
    if let Some((reported, first_line)) = reported.as_mut().zip(stdout.began)
        && let Some(readings) = &seen.readings
    {
        reported.add_processor_time(first_line, readings);
    }
    Ok(Run {
        outcome,
        started_at: Some(timeline.start()),
        launch_to_main_ns: timeline.launch_to_main_ns(),
        launch_to_ready_ns: ready
            .and_then(Ready::at)
            .map(|at| at.since(timeline.start())),
        launch_to_exit_ns: has_ended.then(|| timeline.total_ns()),
        exit_to_gone_ns: ended_at.map(|at| gone.since(at)),
        cpu_ns,
        idle_cpu_ns: lasting.idle_cpu_ns,
        kill_to_exit_ns: lasting.killed.map(|it| it.to_exit_ns),
        spans: timeline.spans().to_vec(),
        footprint,
        observed: seen.observed,
        own_disk: seen.own_disk,
        stdout: stdout.captured,
        stderr: capturing.stderr.finish()?.captured,
        reported,
    })
}

/// What a command reported that ended well. One whose report can't be read has failed.
fn reported(outcome: Option<Outcome>, stdout: &Finished) -> (Option<Outcome>, Option<Reported>) {
    let has_ended_well = outcome.as_ref().and_then(Outcome::exit_code) == Some(0);
    let read = || Reported::read(&stdout.captured, stdout.took_ns);
    match has_ended_well.then(read).flatten() {
        None => (outcome, None),
        Some(Ok(reported)) => (outcome, Some(reported)),
        Some(Err(error)) => (Some(Outcome::without_remedy(error.to_string())), None),
    }
}

/// When the command was about to be executed, if it came so far.
fn main_of(timeline: &Timeline) -> Option<MonotonicNs> {
    let after = timeline.launch_to_main_ns()?;
    Some(MonotonicNs(timeline.start().0 + after))
}
