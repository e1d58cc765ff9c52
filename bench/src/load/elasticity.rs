//! How soon what a command has freed is the host's again.

use std::thread;
use std::time::{Duration, Instant};

use launch::{Footprint, Instance, MonotonicNs, Stdio};

use super::alive::{ended, failed};
use super::{ElasticityOfWay, Ground, Held, LoadEnd};
use crate::measure;
use crate::ready::{Probe, Ready};
use crate::series::Entrant;
use crate::{Interrupt, Readiness};

/// How often the charge is read until the command says that it has freed.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How often afterwards.
const READ_EVERY: Duration = Duration::from_millis(500);

/// For how long afterwards.
pub(super) const FOLLOWED_FOR: Duration = Duration::from_secs(30);

/// A command has so much time to take its memory, at least: a guest whose kernel is emulated needs a
/// second for a mebibyte.
const FREES_WITHIN: Duration = Duration::from_secs(180);

/// Runs one of each at the same time, as no time is measured that one could take from another.
pub(super) fn of_ways(
    entrants: &[Entrant<'_>],
    freed: &Readiness,
    budget: Duration,
    ground: Ground<'_>,
) -> Vec<ElasticityOfWay> {
    thread::scope(|scope| {
        let threads: Vec<_> = entrants
            .iter()
            .map(|entrant| {
                let work = move || of_way(entrant, freed, budget.max(FREES_WITHIN), ground);
                let thread = thread::Builder::new()
                    .name("elasticity".into())
                    .spawn_scoped(scope, work);
                (entrant, thread)
            })
            .collect();
        let join = |(entrant, thread): (&Entrant<'_>, std::io::Result<_>)| match thread {
            Err(error) => ElasticityOfWay::new(entrant.contender, failed(&error)),
            Ok(thread) => thread::ScopedJoinHandle::join(thread).unwrap_or_else(|_| {
                let reason = "its thread panicked".into();
                ElasticityOfWay::new(entrant.contender, LoadEnd::Failed { reason })
            }),
        };
        threads.into_iter().map(join).collect()
    })
}

fn of_way(
    entrant: &Entrant<'_>,
    freed: &Readiness,
    patience: Duration,
    ground: Ground<'_>,
) -> ElasticityOfWay {
    let mut way = ElasticityOfWay::new(entrant.contender, LoadEnd::Complete);
    if let Err(end) = follow(entrant, freed, patience, ground, &mut way) {
        way.ended = end;
    }
    way
}

fn follow(
    entrant: &Entrant<'_>,
    freed: &Readiness,
    patience: Duration,
    ground: Ground<'_>,
    way: &mut ElasticityOfWay,
) -> Result<(), LoadEnd> {
    let probe = Probe::new(freed);
    let stream = || ground.drain.stream(probe.line_watch());
    let stdio = Stdio {
        stdin: measure::open_stdin(ground.stdin).map_err(|error| failed(&error))?,
        stdout: stream().map_err(|error| failed(&error))?,
        stderr: stream().map_err(|error| failed(&error))?,
    };
    let instance = entrant.prepared.launch(stdio).map_err(|it| failed(&it))?;
    let instance = instance.as_ref();
    let freed_at = fill(instance, probe.ready(), patience, ground.interrupt, way)?;
    let mut due = Duration::ZERO;
    while due <= FOLLOWED_FOR {
        let since = Duration::from_nanos(MonotonicNs::now().since(freed_at));
        if since < due {
            wait(instance, (due - since).min(READ_EVERY), ground.interrupt)?;
            continue;
        }
        way.held.push(Held {
            after_ns: MonotonicNs::now().since(freed_at),
            charged_bytes: charged(instance)?,
        });
        due += READ_EVERY;
    }
    Ok(())
}

/// Waits until the command says that it has freed its memory, and sees how much it had.
fn fill(
    instance: &dyn Instance,
    freed: &Ready,
    patience: Duration,
    interrupt: &Interrupt,
    way: &mut ElasticityOfWay,
) -> Result<MonotonicNs, LoadEnd> {
    let began = Instant::now();
    let mut peak_at_main_bytes = None;
    loop {
        // Before the reading: what was freed meanwhile does not count as held.
        let freed_at = freed.at();
        if instance.timeline().launch_to_main_ns().is_some() {
            let footprint = instance.footprint().map_err(|error| failed(&error))?;
            let peak_at_main = *peak_at_main_bytes.get_or_insert(footprint.peak_bytes);
            way.at_main_bytes
                .get_or_insert(footprint.unreclaimable_bytes());
            let most = most_bytes(&footprint, peak_at_main);
            way.most_bytes = way.most_bytes.max(Some(most));
        }
        if let Some(at) = freed_at {
            return Ok(at);
        }
        if began.elapsed() > patience {
            let reason = format!(
                "it had not said within {} s that it has freed its memory",
                patience.as_secs()
            );
            return Err(LoadEnd::Failed { reason });
        }
        wait(instance, LOOK_EVERY, interrupt)?;
    }
}

/// What can't be reclaimed now, or could not for a moment since main, which the kernel has seen. A peak that
/// it had seen at main is of what came before.
fn most_bytes(footprint: &Footprint, peak_at_main_bytes: u64) -> u64 {
    let now = footprint.unreclaimable_bytes();
    match footprint.peak_bytes > peak_at_main_bytes {
        true => now.max(footprint.peak_bytes.saturating_sub(footprint.file_bytes)),
        false => now,
    }
}

/// Waits; the command must not end meanwhile.
fn wait(instance: &dyn Instance, duration: Duration, interrupt: &Interrupt) -> Result<(), LoadEnd> {
    if interrupt.is_raised() {
        return Err(LoadEnd::Interrupted);
    }
    match instance.wait(Some(duration)) {
        Ok(None) => Ok(()),
        Ok(Some(status)) => Err(ended(Some(status.code()))),
        Err(error) => Err(failed(&error)),
    }
}

fn charged(instance: &dyn Instance) -> Result<u64, LoadEnd> {
    let footprint = instance.footprint().map_err(|error| failed(&error))?;
    Ok(footprint.unreclaimable_bytes())
}

#[cfg(test)]
mod tests {
    use launch::Charge;

    use super::*;

    #[test]
    fn a_peak_of_what_came_before_main_is_not_the_commands() {
        let footprint = Footprint {
            charge: Charge::CgroupV2,
            current_bytes: 50,
            peak_bytes: 90,
            anon_bytes: 20,
            file_bytes: 20,
            kernel_bytes: 10,
            page_tables_bytes: None,
            kvm_page_tables_bytes: None,
        };
        assert_eq!(most_bytes(&footprint, 90), 30);
        assert_eq!(most_bytes(&footprint, 89), 70);
    }
}
