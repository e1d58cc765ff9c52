//! Waiting for a run, as long as it is followed.

use std::thread;
use std::time::{Duration, Instant};

use launch::{Chain, ExitStatus, GuestMemory, Instance, MonotonicNs, Timeline};

use super::aside::Aside;
use super::look::{Look, Until};
use super::{LOOK_EVERY, MeasureError, main_of};
use crate::pss::pss_of_tree_bytes;
use crate::ready::Ready;
use crate::{FootprintMoment, FootprintReading, Metric, Outcome};

/// How often it is looked where it is read what processor time is used meanwhile.
const READ_EVERY: Duration = Duration::from_millis(10);

/// When after main the footprint is taken: the workload has settled.
const FOOTPRINT_AFTER_MAIN: Duration = Duration::from_secs(2);

/// What a guest was just giving back is in its hands again by then, also with an emulated kernel.
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(300);

/// How far a run has come.
pub(crate) struct Watched {
    /// How it ended; `None` if it goes on.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) footprint: FootprintReading,
}

/// Waits as long as the run is followed, and reads the footprint when it is due.
///
/// # Errors
///
/// When the user asks for the end meanwhile.
pub(crate) fn watch(
    instance: &dyn Instance,
    ready: Option<&Ready>,
    look: Look<'_>,
    aside: &mut Aside<'_>,
) -> Result<Watched, MeasureError> {
    let began = Instant::now();
    let mut settled = None;
    loop {
        if began.elapsed() > look.patience {
            return Ok(Watched::too_slow(look));
        }
        if look.interrupt.is_raised() {
            return Err(MeasureError::Interrupted);
        }
        aside.look(instance);
        let is_there = match look.until {
            Until::Main => instance.timeline().launch_to_main_ns().is_some(),
            Until::Ready => ready.is_some_and(|ready| ready.at().is_some()),
            Until::Settled => settled.is_some(),
            Until::End => false,
        };
        if is_there {
            return Ok(Watched::there(instance, look, settled, aside));
        }
        let pause = match aside.follows_cpu() {
            true => READ_EVERY,
            false => LOOK_EVERY,
        };
        let outcome = match instance.wait(Some(pause)) {
            Ok(None) => {
                let is_wanted = look.wants(Metric::Memory) || look.until == Until::Settled;
                if is_wanted && settled.is_none() && is_settled(&instance.timeline()) {
                    let moment = FootprintMoment::TwoSecondsAfterMain;
                    settled = Some(read_footprint(instance, moment, look, aside));
                }
                continue;
            }
            Ok(Some(status)) => ended(status, look.until),
            Err(error) => Outcome::failed(&error),
        };
        return Ok(Watched::over(instance, outcome, look, settled, aside));
    }
}

impl Watched {
    fn too_slow(look: Look<'_>) -> Self {
        let what = match look.until {
            Until::Ready => "was not ready",
            Until::Main | Until::Settled | Until::End => "did not end",
        };
        let error = format!("it {what} within {} s", look.patience.as_secs());
        Self {
            outcome: Some(Outcome::without_remedy(error)),
            footprint: FootprintReading::unavailable("it did not end"),
        }
    }

    /// It has come as far as it is followed.
    fn there(
        instance: &dyn Instance,
        look: Look<'_>,
        settled: Option<FootprintReading>,
        aside: &Aside<'_>,
    ) -> Self {
        let footprint = match (look.until, settled) {
            // Of all runs at the same place, however long they took to get there.
            (Until::Ready, _) if look.wants(Metric::Memory) => {
                read_footprint(instance, FootprintMoment::Ready, look, aside)
            }
            (_, Some(footprint)) => footprint,
            (_, None) => FootprintReading::unavailable("the run was not followed so far"),
        };
        Self {
            outcome: None,
            footprint,
        }
    }

    fn over(
        instance: &dyn Instance,
        outcome: Outcome,
        look: Look<'_>,
        settled: Option<FootprintReading>,
        aside: &Aside<'_>,
    ) -> Self {
        let at_end = match look.is_checked {
            true => read_footprint(instance, FootprintMoment::AfterExit, look, aside),
            // It would take some of the time until all is gone.
            false => FootprintReading::unavailable("it was not read after the end"),
        };
        Self {
            outcome: Some(outcome),
            footprint: match settled {
                Some(settled) => settled.with_peak_of(&at_end),
                None => at_end,
            },
        }
    }
}

fn ended(status: ExitStatus, until: Until) -> Outcome {
    match until {
        Until::Ready => Outcome::without_remedy(format!(
            "it ended with {} before it was ready",
            status.code()
        )),
        Until::Main | Until::Settled | Until::End => status.into(),
    }
}

fn is_settled(timeline: &Timeline) -> bool {
    main_of(timeline).is_some_and(|main| {
        Duration::from_nanos(MonotonicNs::now().since(main)) >= FOOTPRINT_AFTER_MAIN
    })
}

fn read_footprint(
    instance: &dyn Instance,
    moment: FootprintMoment,
    look: Look<'_>,
    aside: &Aside<'_>,
) -> FootprintReading {
    let footprint = match instance.footprint() {
        Ok(footprint) => footprint,
        Err(error) => return FootprintReading::unavailable(Chain(&error).to_string()),
    };
    let is_there = moment != FootprintMoment::AfterExit;
    let pss_bytes = is_there.then(|| pss_bytes(instance)).flatten();
    // Last: the answer takes memory, too.
    let asks = is_there && look.is_checked;
    let ask = || guest_memory(instance);
    FootprintReading::Taken {
        moment,
        footprint,
        pss_bytes,
        guest_memory: asks.then(|| aside.while_asking(ask)).flatten(),
    }
}

/// The answer with more left: what a guest is just giving back to the host is in neither's hands for
/// a moment.
fn guest_memory(instance: &dyn Instance) -> Option<GuestMemory> {
    let ask = || instance.guest_memory().ok().flatten();
    let first = ask()?;
    thread::sleep(ASKED_AGAIN_AFTER);
    Some(match ask() {
        Some(second) if second.left_bytes > first.left_bytes => second,
        _ => first,
    })
}

fn pss_bytes(instance: &dyn Instance) -> Option<u64> {
    let pid = instance.pid().ok()?.try_into().ok()?;
    pss_of_tree_bytes(pid).ok()
}

#[cfg(test)]
mod tests {
    use launch::fake::{FakeLauncher, workload};
    use launch::{Launcher, NoProgress, Stdio};

    use super::*;
    use crate::Interrupt;

    /// What is read of one that has ended.
    fn footprint(is_checked: bool) -> FootprintReading {
        let fake = FakeLauncher::exiting(ExitStatus::Exited(0));
        let prepared = fake.prepare(&workload(), &NoProgress).unwrap();
        let instance = prepared.launch(Stdio::null().unwrap()).unwrap();
        let interrupt = Interrupt::default();
        let look = Look {
            is_checked,
            metrics: &[Metric::Memory, Metric::Gone],
            ..Look::new(Until::End, Duration::from_secs(1), &interrupt)
        };
        let watched = watch(instance.as_ref(), None, look, &mut Aside::default());
        watched.unwrap().footprint
    }

    #[test]
    fn nothing_is_read_between_the_end_of_a_run_that_is_timed_and_its_removal() {
        assert!(footprint(true).footprint().is_some());
        assert!(footprint(false).footprint().is_none());
    }
}
