use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use launch::{Chain, ExitStatus, Instance, MonotonicNs, Prepared, Side, Span, Stdio, Timeline};

use crate::capture::{Capture, Finished};
use crate::disk::{Own, OwnDisk};
use crate::lasting::{self, Lasting};
use crate::observed::Observer;
use crate::ready::{Probe, Ready};
use crate::reported::Readings;
use crate::{
    Captured, FootprintMoment, FootprintReading, Interrupt, Metric, ObservedReading, Outcome,
    Readiness, Reported,
};

/// How often a run looks whether it was interrupted, or is due for a reading.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The same where it is read what processor time is used meanwhile.
const READ_EVERY: Duration = Duration::from_millis(10);

/// When after main the footprint is taken: the workload has settled.
const FOOTPRINT_AFTER_MAIN: Duration = Duration::from_secs(2);

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

/// How far a run is followed. It is killed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// To the doorbell before the command's `execve`.
    Main,
    /// Until its footprint is read, 2 s after that.
    Settled,
    /// Until it is ready.
    Ready,
    /// To the end of the command.
    End,
}

/// How a run is looked at.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    pub(crate) until: Until,
    /// What shows that it is ready, if that is of interest.
    pub(crate) readiness: Option<&'a Readiness>,
    /// What is measured besides what each run tells. It can't be had for nothing.
    pub(crate) metrics: &'a [Metric],
    /// Whether what it asks of the host's kernel is counted, and of which side it is.
    pub(crate) observes: Option<Side>,
    /// Whether what it has for itself on the host's disks is read, and which volumes are among that.
    pub(crate) own_volumes: Option<&'a [PathBuf]>,
    /// Whether the processor time is read all the time, for what the workload reports.
    pub(crate) follows_cpu: bool,
    /// One that has not come so far when this is at its end is killed, and has failed.
    pub(crate) patience: Duration,
    pub(crate) interrupt: &'a Interrupt,
}

impl Look<'_> {
    pub(crate) fn wants(&self, metric: Metric) -> bool {
        self.metrics.contains(&metric)
    }
}

/// What came of one run.
#[derive(Debug)]
pub(crate) struct Run {
    /// How it ended; `None` if it was not followed so far.
    pub(crate) outcome: Option<Outcome>,
    /// The entry of `launch()`; `None` if that failed.
    pub(crate) started_at: Option<MonotonicNs>,
    pub(crate) launch_to_main_ns: Option<u64>,
    pub(crate) launch_to_ready_ns: Option<u64>,
    pub(crate) launch_to_exit_ns: Option<u64>,
    pub(crate) exit_to_gone_ns: Option<u64>,
    /// The processor time of its cgroup, to where it was followed; `None` if that is not counted, or
    /// nobody asked.
    pub(crate) cpu_ns: Option<u64>,
    /// The processor time that it used in a minute as it did nothing; `None` likewise.
    pub(crate) idle_cpu_ns: Option<u64>,
    /// From `SIGKILL` to the exit status, if it was killed for that.
    pub(crate) kill_to_exit_ns: Option<u64>,
    pub(crate) spans: Vec<Span>,
    pub(crate) footprint: FootprintReading,
    /// What it asked of the host's kernel, if that was to be counted.
    pub(crate) observed: Option<ObservedReading>,
    /// What it had for itself on the host's disks, if that was to be read and it came to main.
    pub(crate) own_disk: Option<OwnDisk>,
    pub(crate) stdout: Captured,
    pub(crate) stderr: Captured,
    /// What the command reported of itself, if it did and ended well.
    pub(crate) reported: Option<Reported>,
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
    let (stdout, stdout_writer) = Capture::new().map_err(MeasureError::Capture)?;
    let (stderr, stderr_writer) = Capture::new().map_err(MeasureError::Capture)?;
    let observer = look.observes.map(|side| (side, Observer::start()));
    let launched = prepared.launch(Stdio {
        stdin,
        stdout: stdout_writer,
        stderr: stderr_writer,
    });
    let instance = match launched {
        Ok(instance) => instance,
        Err(error) => return Ok(Run::not_launched(&error)),
    };
    // Not before the launch, which is cheapest while there is one thread.
    let probe = look.readiness.map(Probe::new);
    let line_watch = || probe.as_ref().and_then(Probe::line_watch);
    let stdout = stdout.start(line_watch()).map_err(MeasureError::Capture)?;
    let stderr = stderr.start(line_watch()).map_err(MeasureError::Capture)?;
    let asking = probe.as_ref().map(|probe| probe.ask(instance.as_ref()));
    let asking = asking.transpose().map_err(MeasureError::Capture)?.flatten();

    let ready = probe.as_ref().map(Probe::ready);
    let watched = observer.as_ref().and_then(|(_, it)| it.as_ref().ok());
    let own = look.own_volumes.and_then(|it| Own::of(instance.id(), it));
    let mut aside = Aside {
        observer: watched,
        own,
        // From the two ends alone nothing would follow for what is between.
        readings: (look.follows_cpu).then(|| Readings::beginning(instance.timeline().start())),
    };
    let (outcome, footprint) = watch(instance.as_ref(), ready, look, &mut aside)?;
    let Aside {
        own, mut readings, ..
    } = aside;
    let own_disk = own.and_then(|mut own| {
        // One that was quick had no more than this.
        if instance.timeline().launch_to_main_ns().is_some() {
            own.note_start();
        }
        own.finish()
    });
    drop(asking);
    let timeline = instance.timeline();
    let lasting = match outcome {
        None => lasting::measure(instance.as_ref(), look)?,
        Some(_) => Lasting::default(),
    };
    let killed = lasting.killed;
    // Only if it is of interest: it takes some of the time until all is gone.
    let cpu_ns = match look.wants(Metric::Cpu) {
        true => instance.cpu_ns().ok().flatten(),
        false => None,
    };
    if let Some((readings, used_ns)) = readings.as_mut().zip(cpu_ns) {
        readings.add(MonotonicNs::now(), used_ns);
    }
    let observed = observer.map(|(side, observer)| match observer {
        Ok(observer) => {
            note_main(&observer, &timeline);
            let end = outcome
                .as_ref()
                .map_or_else(MonotonicNs::now, |_| timeline.end());
            observer.finish(side, end)
        }
        Err(error) => ObservedReading::unavailable(Chain(&error).to_string()),
    });
    let ready_at = ready.and_then(Ready::at);
    // Nobody holds the writing ends after this, so that both captures end.
    drop(instance);
    let gone = MonotonicNs::now();
    let has_ended = outcome.is_some();
    let ended_at = match has_ended {
        true => Some(timeline.end()),
        false => killed.map(|it| it.at),
    };
    let stdout = finish(stdout)?;
    let (outcome, mut reported) = reported(outcome.or(lasting.failed), &stdout);
    if let Some((reported, first_line)) = reported.as_mut().zip(stdout.began)
        && let Some(readings) = &readings
    {
        reported.add_processor_time(first_line, readings);
    }
    Ok(Run {
        outcome,
        started_at: Some(timeline.start()),
        launch_to_main_ns: timeline.launch_to_main_ns(),
        launch_to_ready_ns: ready_at.map(|at| at.since(timeline.start())),
        launch_to_exit_ns: has_ended.then(|| timeline.total_ns()),
        exit_to_gone_ns: ended_at.map(|at| gone.since(at)),
        cpu_ns,
        idle_cpu_ns: lasting.idle_cpu_ns,
        kill_to_exit_ns: killed.map(|it| it.to_exit_ns),
        spans: timeline.spans().to_vec(),
        footprint,
        observed,
        own_disk,
        stdout: stdout.captured,
        stderr: finish(stderr)?.captured,
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
        Some(Err(error)) => {
            let failed = Outcome::Failed {
                error: error.to_string(),
                remedy: None,
            };
            (Some(failed), None)
        }
    }
}

/// Opens `file` anew, so that each run has a position of its own in it; nothing to read if `None`.
pub(crate) fn open_stdin(file: Option<&File>) -> io::Result<OwnedFd> {
    let opened = match file {
        Some(file) => File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))?,
        None => File::open("/dev/null")?,
    };
    Ok(opened.into())
}

fn finish(capture: JoinHandle<io::Result<Finished>>) -> Result<Finished, MeasureError> {
    capture
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("the capturing thread panicked")))
        .map_err(MeasureError::Capture)
}

/// Waits as long as the run is followed, and reads the footprint when it is due.
pub(crate) fn watch(
    instance: &dyn Instance,
    ready: Option<&Ready>,
    look: Look<'_>,
    aside: &mut Aside<'_>,
) -> Result<(Option<Outcome>, FootprintReading), MeasureError> {
    let Look {
        until,
        patience,
        interrupt,
        ..
    } = look;
    let mut footprint = None;
    let began = Instant::now();
    loop {
        if began.elapsed() > patience {
            let what = match until {
                Until::Ready => "was not ready",
                Until::Main | Until::Settled | Until::End => "did not end",
            };
            let error = format!("it {what} within {} s", patience.as_secs());
            let outcome = Outcome::Failed {
                error,
                remedy: None,
            };
            let footprint = FootprintReading::Unavailable {
                reason: "it did not end".into(),
            };
            return Ok((Some(outcome), footprint));
        }
        if interrupt.is_raised() {
            return Err(MeasureError::Interrupted);
        }
        aside.look(instance);
        let is_there = match until {
            Until::Main => instance.timeline().launch_to_main_ns().is_some(),
            Until::Ready => ready.is_some_and(|ready| ready.at().is_some()),
            Until::Settled => footprint.is_some(),
            Until::End => false,
        };
        if is_there {
            let footprint = match (until, footprint) {
                // Of all runs at the same place, however long they took to get there.
                (Until::Ready, _) if look.wants(Metric::Memory) => {
                    read_footprint(instance, FootprintMoment::Ready)
                }
                (_, Some(footprint)) => footprint,
                (_, None) => FootprintReading::Unavailable {
                    reason: "the run was not followed so far".into(),
                },
            };
            return Ok((None, footprint));
        }
        let pause = match &mut aside.readings {
            Some(readings) => {
                if let Ok(Some(used_ns)) = instance.cpu_ns() {
                    readings.add(MonotonicNs::now(), used_ns);
                }
                READ_EVERY
            }
            None => LOOK_EVERY,
        };
        let outcome = match instance.wait(Some(pause)) {
            Ok(None) => {
                if footprint.is_none() && is_settled(&instance.timeline()) {
                    let moment = FootprintMoment::TwoSecondsAfterMain;
                    footprint = Some(read_footprint(instance, moment));
                }
                continue;
            }
            Ok(Some(status)) if until == Until::Ready => Outcome::Failed {
                error: format!("it ended with {} before it was ready", status.code()),
                remedy: None,
            },
            Ok(Some(status)) => Outcome::from(status),
            Err(error) => Outcome::failed(&error),
        };
        let at_end = read_footprint(instance, FootprintMoment::AfterExit);
        let footprint = match footprint {
            Some(settled) => settled.with_peak_of(&at_end),
            None => at_end,
        };
        return Ok((Some(outcome), footprint));
    }
}

/// What is looked at while a run is watched, where that is of interest.
#[derive(Default)]
pub(crate) struct Aside<'a> {
    observer: Option<&'a Observer>,
    own: Option<Own<'a>>,
    /// Of its processor time, if that is followed.
    readings: Option<Readings>,
}

impl Aside<'_> {
    fn look(&mut self, instance: &dyn Instance) {
        if self.observer.is_none() && self.own.is_none() {
            return;
        }
        let timeline = instance.timeline();
        if let Some(observer) = self.observer {
            note_main(observer, &timeline);
        }
        if let (Some(own), Some(_)) = (&mut self.own, timeline.launch_to_main_ns()) {
            own.note_start();
        }
    }
}

fn is_settled(timeline: &Timeline) -> bool {
    main_of(timeline).is_some_and(|main| {
        Duration::from_nanos(MonotonicNs::now().since(main)) >= FOOTPRINT_AFTER_MAIN
    })
}

fn main_of(timeline: &Timeline) -> Option<MonotonicNs> {
    let after = timeline.launch_to_main_ns()?;
    Some(MonotonicNs(timeline.start().0 + after))
}

fn note_main(observer: &Observer, timeline: &Timeline) {
    if let Some(main) = main_of(timeline) {
        observer.note_main(main);
    }
}

fn read_footprint(instance: &dyn Instance, moment: FootprintMoment) -> FootprintReading {
    match instance.footprint() {
        Ok(footprint) => FootprintReading::Taken { moment, footprint },
        Err(error) => FootprintReading::Unavailable {
            reason: Chain(&error).to_string(),
        },
    }
}

impl Run {
    /// Of one that failed before anything ran.
    pub(crate) fn not_launched(error: &launch::Error) -> Self {
        Self {
            outcome: Some(Outcome::failed(error)),
            started_at: None,
            launch_to_main_ns: None,
            launch_to_ready_ns: None,
            launch_to_exit_ns: None,
            exit_to_gone_ns: None,
            cpu_ns: None,
            idle_cpu_ns: None,
            kill_to_exit_ns: None,
            spans: Vec::new(),
            footprint: FootprintReading::Unavailable {
                reason: "it was not launched".into(),
            },
            observed: None,
            own_disk: None,
            stdout: Captured::nothing(),
            stderr: Captured::nothing(),
            reported: None,
        }
    }
}

impl Outcome {
    pub(crate) fn failed(error: &launch::Error) -> Self {
        Self::Failed {
            error: Chain(error).to_string(),
            remedy: error.remedy().map(str::to_owned),
        }
    }
}

impl From<ExitStatus> for Outcome {
    fn from(status: ExitStatus) -> Self {
        Self::Ended {
            status,
            exit_code: status.code(),
        }
    }
}
