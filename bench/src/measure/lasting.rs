//! What is measured of an instance that goes on, when it was followed as far as it was to be.

use std::time::{Duration, Instant};

use launch::{ExitStatus, Instance, MonotonicNs};
use nix::sys::signal::Signal;

use super::look::Look;
use super::{LOOK_EVERY, MeasureError};
use crate::{Interrupt, Metric, Outcome};

/// For how long an instance is watched that does nothing: a guest's kernel does some things every second.
const WATCHED: Duration = Duration::from_secs(5);

const A_MINUTE: Duration = Duration::from_secs(60);

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Lasting {
    /// Why not all could be measured: the run has failed.
    pub(super) failed: Option<Outcome>,
    /// Nanoseconds of processor time a minute, if it was watched and that is counted.
    pub(super) idle_cpu_ns: Option<u64>,
    /// Its end, if it was killed.
    pub(super) killed: Option<Killed>,
}

/// How an instance ended that was killed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Killed {
    /// From the signal to the exit status, in nanoseconds.
    pub(super) to_exit_ns: u64,
    /// When the exit status was known.
    pub(super) at: MonotonicNs,
}

/// Watches and kills it, as far as that is wanted.
///
/// # Errors
///
/// When the user asks for the end meanwhile.
pub(super) fn measure(instance: &dyn Instance, look: Look<'_>) -> Result<Lasting, MeasureError> {
    let mut lasting = Lasting::default();
    if look.wants(Metric::Idle) {
        match idle_cpu_ns(instance, look.interrupt)? {
            Ok(used) => lasting.idle_cpu_ns = used,
            Err(failed) => lasting.failed = Some(failed),
        }
    }
    if look.wants(Metric::Stop) && lasting.failed.is_none() {
        match kill(instance, look.patience) {
            Ok(killed) => lasting.killed = Some(killed),
            Err(failed) => lasting.failed = Some(failed),
        }
    }
    Ok(lasting)
}

fn idle_cpu_ns(
    instance: &dyn Instance,
    interrupt: &Interrupt,
) -> Result<Result<Option<u64>, Outcome>, MeasureError> {
    let used = || instance.cpu_ns().ok().flatten();
    let Some(before) = used() else {
        return Ok(Ok(None));
    };
    let began = Instant::now();
    while began.elapsed() < WATCHED {
        if interrupt.is_raised() {
            return Err(MeasureError::Interrupted);
        }
        match instance.wait(Some(LOOK_EVERY)) {
            Ok(None) => {}
            Ok(Some(status)) => return Ok(Err(ended_before(status, "it had been watched"))),
            Err(error) => return Ok(Err(Outcome::failed(&error))),
        }
    }
    let watched = began.elapsed();
    Ok(Ok(
        used().map(|now| a_minute(now.saturating_sub(before), watched))
    ))
}

/// What is used in a minute if so much is in this time, which is not zero.
fn a_minute(used_ns: u64, time: Duration) -> u64 {
    (used_ns as f64 * A_MINUTE.div_duration_f64(time)).round() as u64
}

fn kill(instance: &dyn Instance, patience: Duration) -> Result<Killed, Outcome> {
    let signalled = MonotonicNs::now();
    let ended = instance
        .signal(Signal::SIGKILL)
        .and_then(|()| instance.wait(Some(patience)));
    let at = MonotonicNs::now();
    match ended {
        Ok(Some(ExitStatus::Signaled(signal))) if signal == Signal::SIGKILL as u8 => Ok(Killed {
            to_exit_ns: at.since(signalled),
            at,
        }),
        Ok(Some(status)) => Err(ended_before(status, "it was killed")),
        Ok(None) => Err(Outcome::without_remedy(format!(
            "it did not end within {} s of SIGKILL",
            patience.as_secs()
        ))),
        Err(error) => Err(Outcome::failed(&error)),
    }
}

fn ended_before(status: ExitStatus, what: &str) -> Outcome {
    Outcome::without_remedy(format!("it ended with {} before {what}", status.code()))
}

#[cfg(test)]
mod tests {
    use std::io;

    use launch::fake::{FakeLauncher, workload};
    use launch::{Launcher, NoProgress, Stdio};

    use super::*;
    use crate::measure::Until;

    const KILLED: ExitStatus = ExitStatus::Signaled(Signal::SIGKILL as u8);

    /// What comes of it if this is measured of one that ends so when it is waited for.
    fn lasting(status: ExitStatus, metric: Metric) -> Lasting {
        let prepared = FakeLauncher::exiting(status).prepare(&workload(), &NoProgress);
        let nowhere = || io::pipe().unwrap().1.into();
        let stdio = Stdio {
            stdin: io::pipe().unwrap().0.into(),
            stdout: nowhere(),
            stderr: nowhere(),
        };
        let instance = prepared.unwrap().launch(stdio).unwrap();
        let interrupt = Interrupt::default();
        let look = Look {
            metrics: &[metric],
            ..Look::new(Until::Main, Duration::from_secs(1), &interrupt)
        };
        measure(instance.as_ref(), look).unwrap()
    }

    #[test]
    fn one_that_is_killed_has_ended_by_that() {
        let lasting = lasting(KILLED, Metric::Stop);
        assert!(lasting.failed.is_none());
        assert!(lasting.killed.is_some());
    }

    #[test]
    fn one_that_ends_by_itself_has_failed() {
        for (metric, expected) in [
            (Metric::Stop, "it ended with 3 before it was killed"),
            (Metric::Idle, "it ended with 3 before it had been watched"),
        ] {
            let lasting = lasting(ExitStatus::Exited(3), metric);
            let Some(Outcome::Failed { error, .. }) = lasting.failed else {
                panic!("{lasting:?}");
            };
            assert_eq!(error, expected);
            assert!(lasting.killed.is_none() && lasting.idle_cpu_ns.is_none());
        }
    }

    #[test]
    fn what_is_not_wanted_is_not_done() {
        let lasting = lasting(ExitStatus::Exited(3), Metric::Main);
        assert!(lasting.failed.is_none() && lasting.killed.is_none());
    }

    #[test]
    fn what_is_used_is_told_as_of_a_minute() {
        for (used_ns, milliseconds, expected) in [
            (0, 2_000, 0),
            (1_000, 5_000, 12_000),
            (5_000_000_000, 5_000, 60_000_000_000),
            (1_000, 5_500, 10_909),
        ] {
            let time = Duration::from_millis(milliseconds);
            assert_eq!(a_minute(used_ns, time), expected);
        }
    }
}
