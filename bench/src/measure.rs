use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use launch::{Chain, ExitStatus, Instance, MonotonicNs, Prepared, Span, Stdio, Timeline};

use crate::capture::Capture;
use crate::{Captured, FootprintMoment, FootprintReading, Interrupt, Outcome};

/// How often a run looks whether it was interrupted, or is due for a reading.
const LOOK_EVERY: Duration = Duration::from_millis(50);

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
pub(crate) enum Follow {
    /// To the doorbell before the command's `execve`.
    ToMain,
    /// To the end of the command.
    ToEnd,
}

/// What came of one run.
#[derive(Debug)]
pub(crate) struct Run {
    /// How it ended; `None` if it was not followed so far.
    pub(crate) outcome: Option<Outcome>,
    /// The entry of `launch()`; `None` if that failed.
    pub(crate) started_at: Option<MonotonicNs>,
    pub(crate) launch_to_main_ns: Option<u64>,
    pub(crate) launch_to_exit_ns: Option<u64>,
    pub(crate) exit_to_gone_ns: Option<u64>,
    pub(crate) spans: Vec<Span>,
    pub(crate) footprint: FootprintReading,
    pub(crate) stdout: Captured,
    pub(crate) stderr: Captured,
}

/// Runs `prepared` once, on `stdin`. One that has not ended when `patience` is at its end is killed
/// and has failed.
pub(crate) fn run(
    prepared: &dyn Prepared,
    stdin: OwnedFd,
    follow: Follow,
    patience: Duration,
    interrupt: &Interrupt,
) -> Result<Run, MeasureError> {
    if interrupt.is_raised() {
        return Err(MeasureError::Interrupted);
    }
    let (stdout, stdout_writer) = Capture::new().map_err(MeasureError::Capture)?;
    let (stderr, stderr_writer) = Capture::new().map_err(MeasureError::Capture)?;
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
    let stdout = stdout.start().map_err(MeasureError::Capture)?;
    let stderr = stderr.start().map_err(MeasureError::Capture)?;

    let (outcome, footprint) = watch(instance.as_ref(), follow, patience, interrupt)?;
    let timeline = instance.timeline();
    // Nobody holds the writing ends after this, so that both captures end.
    drop(instance);
    let gone = MonotonicNs::now();
    let has_ended = outcome.is_some();
    Ok(Run {
        outcome,
        started_at: Some(timeline.start()),
        launch_to_main_ns: timeline.launch_to_main_ns(),
        launch_to_exit_ns: has_ended.then(|| timeline.total_ns()),
        exit_to_gone_ns: has_ended.then(|| gone.since(timeline.end())),
        spans: timeline.spans().to_vec(),
        footprint,
        stdout: finish(stdout)?,
        stderr: finish(stderr)?,
    })
}

/// Opens `file` anew, so that each run has a position of its own in it; nothing to read if `None`.
pub(crate) fn open_stdin(file: Option<&File>) -> io::Result<OwnedFd> {
    let opened = match file {
        Some(file) => File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))?,
        None => File::open("/dev/null")?,
    };
    Ok(opened.into())
}

fn finish(capture: JoinHandle<io::Result<Captured>>) -> Result<Captured, MeasureError> {
    capture
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("the capturing thread panicked")))
        .map_err(MeasureError::Capture)
}

/// Waits as long as the run is followed, and reads the footprint when it is due.
fn watch(
    instance: &dyn Instance,
    follow: Follow,
    patience: Duration,
    interrupt: &Interrupt,
) -> Result<(Option<Outcome>, FootprintReading), MeasureError> {
    let mut footprint = None;
    let began = Instant::now();
    loop {
        if began.elapsed() > patience {
            let error = format!("it did not end within {} s", patience.as_secs());
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
        if follow == Follow::ToMain && instance.timeline().launch_to_main_ns().is_some() {
            let footprint = FootprintReading::Unavailable {
                reason: "the run was not followed so far".into(),
            };
            return Ok((None, footprint));
        }
        let outcome = match instance.wait(Some(LOOK_EVERY)) {
            Ok(None) => {
                if footprint.is_none() && is_settled(&instance.timeline()) {
                    let moment = FootprintMoment::TwoSecondsAfterMain;
                    footprint = Some(read_footprint(instance, moment));
                }
                continue;
            }
            Ok(Some(status)) => Outcome::from(status),
            Err(error) => Outcome::failed(&error),
        };
        let footprint =
            footprint.unwrap_or_else(|| read_footprint(instance, FootprintMoment::AfterExit));
        return Ok((Some(outcome), footprint));
    }
}

fn is_settled(timeline: &Timeline) -> bool {
    timeline
        .launch_to_main_ns()
        .is_some_and(|launch_to_main_ns| {
            let main = MonotonicNs(timeline.start().0 + launch_to_main_ns);
            Duration::from_nanos(MonotonicNs::now().since(main)) >= FOOTPRINT_AFTER_MAIN
        })
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
            launch_to_exit_ns: None,
            exit_to_gone_ns: None,
            spans: Vec::new(),
            footprint: FootprintReading::Unavailable {
                reason: "it was not launched".into(),
            },
            stdout: Captured::nothing(),
            stderr: Captured::nothing(),
        }
    }
}

impl Outcome {
    fn failed(error: &launch::Error) -> Self {
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
