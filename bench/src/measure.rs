use std::io;
use std::os::fd::OwnedFd;
use std::thread::JoinHandle;
use std::time::Duration;

use launch::{Chain, ExitStatus, Instance, MonotonicNs, Prepared, Stdio, Timeline};

use crate::capture::Capture;
use crate::{Captured, FootprintMoment, FootprintReading, Interrupt, Outcome, Way, WayReport};

/// How often a run looks whether it was interrupted, or is due for a reading.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// When after main the footprint is taken: the workload has settled.
const FOOTPRINT_AFTER_MAIN: Duration = Duration::from_secs(2);

/// Why a run could not be measured at all.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// No pipe, no thread, no `/dev/null`.
    #[error("the output of the command can't be captured")]
    Capture(#[source] io::Error),
    /// The user asked for the end.
    #[error("interrupted")]
    Interrupted,
}

/// Runs `prepared` once, on `stdin`, to its end.
pub(crate) fn measure(
    way: Way,
    prepared: &dyn Prepared,
    stdin: OwnedFd,
    interrupt: &Interrupt,
) -> Result<WayReport, MeasureError> {
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
        Err(error) => return Ok(WayReport::not_launched(way, &error)),
    };
    // Not before the launch, which is cheapest while there is one thread.
    let stdout = stdout.start().map_err(MeasureError::Capture)?;
    let stderr = stderr.start().map_err(MeasureError::Capture)?;

    let (outcome, footprint) = follow(instance.as_ref(), interrupt)?;
    let timeline = instance.timeline();
    // Nobody holds the writing ends after this, so that both captures end.
    drop(instance);
    Ok(WayReport {
        way,
        outcome,
        launch_to_main_ns: timeline.launch_to_main_ns(),
        launch_to_exit_ns: Some(timeline.total_ns()),
        spans: timeline.spans().to_vec(),
        footprint,
        stdout: finish(stdout)?,
        stderr: finish(stderr)?,
    })
}

fn finish(capture: JoinHandle<io::Result<Captured>>) -> Result<Captured, MeasureError> {
    capture
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("the capturing thread panicked")))
        .map_err(MeasureError::Capture)
}

/// Waits for the end, and reads the footprint when it is due.
fn follow(
    instance: &dyn Instance,
    interrupt: &Interrupt,
) -> Result<(Outcome, FootprintReading), MeasureError> {
    let mut footprint = None;
    loop {
        if interrupt.is_raised() {
            return Err(MeasureError::Interrupted);
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
        return Ok((outcome, footprint));
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

impl WayReport {
    /// Of a run that failed before anything ran.
    pub(crate) fn not_launched(way: Way, error: &launch::Error) -> Self {
        Self {
            way,
            outcome: Outcome::failed(error),
            launch_to_main_ns: None,
            launch_to_exit_ns: None,
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
