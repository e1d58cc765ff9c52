//! What is looked at beside a run, where that is of interest.

use launch::{Chain, Instance, MonotonicNs, Side};

use super::look::Look;
use super::main_of;
use crate::ObservedReading;
use crate::disk::{Own, OwnDisk};
use crate::observed::{ObserveError, Observer};
use crate::reported::Readings;

/// What counts what an instance asks of the host's kernel, or why nothing does.
pub(super) struct Observation {
    side: Side,
    observer: Result<Observer, ObserveError>,
}

impl Observation {
    /// Begins to watch what this thread launches.
    pub(super) fn start(side: Side) -> Self {
        let observer = Observer::start();
        Self { side, observer }
    }

    fn note_main(&self, at: MonotonicNs) {
        if let Ok(observer) = &self.observer {
            observer.note_main(at);
        }
    }

    fn finish(self, end: MonotonicNs) -> ObservedReading {
        match self.observer {
            Ok(observer) => observer.finish(self.side, end),
            Err(error) => ObservedReading::unavailable(Chain(&error).to_string()),
        }
    }
}

/// What is looked at as long as a run is watched.
#[derive(Default)]
pub(crate) struct Aside<'a> {
    observation: Option<Observation>,
    own: Option<Own<'a>>,
    readings: Option<Readings>,
}

/// What was seen.
pub(super) struct Seen {
    pub(super) observed: Option<ObservedReading>,
    pub(super) own_disk: Option<OwnDisk>,
    /// Of its processor time.
    pub(super) readings: Option<Readings>,
}

impl<'a> Aside<'a> {
    pub(super) fn of(
        instance: &dyn Instance,
        look: Look<'a>,
        observation: Option<Observation>,
    ) -> Self {
        Self {
            observation,
            own: (look.own_volumes).and_then(|it| Own::of(instance.id(), it)),
            // From the two ends alone nothing would follow for what is between.
            readings: (look.follows_cpu).then(|| Readings::beginning(instance.timeline().start())),
        }
    }

    /// Whether a look is due more often.
    pub(super) fn follows_cpu(&self) -> bool {
        self.readings.is_some()
    }

    pub(super) fn look(&mut self, instance: &dyn Instance) {
        if let Some(readings) = &mut self.readings
            && let Ok(Some(used_ns)) = instance.cpu_ns()
        {
            readings.add(MonotonicNs::now(), used_ns);
        }
        if self.observation.is_none() && self.own.is_none() {
            return;
        }
        if let Some(main) = main_of(&instance.timeline()) {
            self.note_main(main);
        }
    }

    /// Asks something of the instance itself. What that makes it do is not among what is observed.
    pub(super) fn while_asking<T>(&self, ask: impl FnOnce() -> T) -> T {
        match self.observation.as_ref().map(|it| &it.observer) {
            Some(Ok(observer)) => observer.while_asking(ask),
            Some(Err(_)) | None => ask(),
        }
    }

    fn note_main(&mut self, at: MonotonicNs) {
        if let Some(observation) = &self.observation {
            observation.note_main(at);
        }
        if let Some(own) = &mut self.own {
            own.note_start();
        }
    }

    /// Ends it, when the run has ended or is followed no further. `cpu_ns` is the processor time that it
    /// has used now, if that is known.
    pub(super) fn finish(
        mut self,
        instance: &dyn Instance,
        has_ended: bool,
        cpu_ns: Option<u64>,
    ) -> Seen {
        let timeline = instance.timeline();
        let now = MonotonicNs::now();
        // One that was quick may not have been looked at since.
        if let Some(main) = main_of(&timeline) {
            self.note_main(main);
        }
        if let Some((readings, used_ns)) = self.readings.as_mut().zip(cpu_ns) {
            readings.add(now, used_ns);
        }
        let end = if has_ended { timeline.end() } else { now };
        Seen {
            observed: self.observation.map(|it| it.finish(end)),
            own_disk: self.own.and_then(Own::finish),
            readings: self.readings,
        }
    }
}
