use std::time::Duration;

use launch::{Chain, Instance, MonotonicNs, Stdio};

use super::{Ground, LoadEnd};
use crate::measure::{self, Aside, Look, MeasureError, Until, Watched, watch};
use crate::ready::{Asking, Probe};
use crate::series::Entrant;
use crate::{Interrupt, Outcome};

/// An instance that is there: at main, or ready. Dropping it ends it.
///
/// It is to be dropped by the thread that launched it, with which a container ends.
pub(super) struct Alive {
    /// Ended before what it asks.
    _asking: Option<Asking>,
    instance: Box<dyn Instance>,
    /// When `launch()` was entered.
    pub started_at: MonotonicNs,
    /// How long it took from there on, in nanoseconds.
    pub took_ns: u64,
}

impl Alive {
    /// Launches one and waits until it is there, for as long as `patience`. `interrupt` ends that.
    pub fn launch(
        entrant: &Entrant<'_>,
        ground: Ground<'_>,
        patience: Duration,
        interrupt: &Interrupt,
    ) -> Result<Self, LoadEnd> {
        if interrupt.is_raised() {
            return Err(LoadEnd::Interrupted);
        }
        let probe = ground.readiness.map(Probe::new);
        let stream = || {
            ground
                .drain
                .stream(probe.as_ref().and_then(Probe::line_watch))
        };
        let stdio = Stdio {
            stdin: measure::open_stdin(ground.stdin).map_err(|error| failed(&error))?,
            stdout: stream().map_err(|error| failed(&error))?,
            stderr: stream().map_err(|error| failed(&error))?,
        };
        let instance = entrant.prepared.launch(stdio).map_err(|it| failed(&it))?;
        let asking = probe.as_ref().map(|probe| probe.ask(instance.as_ref()));
        let asking = asking
            .transpose()
            .map_err(|error| failed(&error))?
            .flatten();
        let ready = probe.as_ref().map(Probe::ready);
        let until = ready.map_or(Until::Main, |_| Until::Ready);
        let look = Look {
            readiness: ground.readiness,
            ..Look::new(until, patience, interrupt)
        };
        let watched = watch(instance.as_ref(), ready, look, &mut Aside::default());
        let Watched { outcome, .. } = watched.map_err(|error| match error {
            MeasureError::Interrupted => LoadEnd::Interrupted,
            error => failed(&error),
        })?;
        match outcome {
            Some(Outcome::Failed { error, .. }) => return Err(LoadEnd::Failed { reason: error }),
            // It may have rung the doorbell, and does not wait.
            Some(outcome) => return Err(ended(outcome.exit_code())),
            None => {}
        }
        let timeline = instance.timeline();
        let started_at = timeline.start();
        let took_ns = match ready {
            Some(ready) => ready.at().map(|at| at.since(started_at)),
            None => timeline.launch_to_main_ns(),
        };
        Ok(Self {
            _asking: asking,
            // What was watched for is there.
            took_ns: took_ns.unwrap_or_default(),
            started_at,
            instance,
        })
    }

    /// Why it is not there any more, if it is not.
    pub fn check(&self) -> Result<(), LoadEnd> {
        match self.instance.wait(Some(Duration::ZERO)) {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(ended(Some(status.code()))),
            Err(error) => Err(failed(&error)),
        }
    }

    /// What its cgroup is charged that can't be reclaimed, in bytes.
    pub fn charged_bytes(&self) -> Option<u64> {
        let footprint = self.instance.footprint().ok()?;
        Some(footprint.unreclaimable_bytes())
    }
}

pub(super) fn failed(error: &dyn std::error::Error) -> LoadEnd {
    LoadEnd::Failed {
        reason: Chain(error).to_string(),
    }
}

pub(super) fn ended(exit_code: Option<u8>) -> LoadEnd {
    let code = exit_code.map_or_else(String::new, |code| format!(" with {code}"));
    LoadEnd::Failed {
        reason: format!("the command ended{code}, where it has to go on until it is ended"),
    }
}
