//! More and more instances that are kept running.

use std::time::{Duration, Instant};

use launch::{Chain, Progress};

use super::alive::Alive;
use super::host_memory::{self, HostMemory};
use super::{DensityOfWay, DensityStep, Ground, LoadEnd, PerInstance};
use crate::series::Entrant;
use crate::statistics::{Summary, theil_sen};

/// So many more are launched at each step, to see how long that takes beside the others.
const PROBES: usize = 5;

/// That all slopes between the points lie on one side of the true one happens by chance in two of n!
/// orders of n points: with four, in more than 5 % of all series.
const STEPS_FOR_INTERVAL: usize = 5;

/// No other one after this.
const PROBE_FOR: Duration = Duration::from_secs(2);

/// Keeps 1, 2, 4, ... `asked` of `entrant` running until there are so many, or something ends it.
pub(super) fn of_way(
    entrant: &Entrant<'_>,
    asked: usize,
    until: Instant,
    ground: Ground<'_>,
    progress: &dyn Progress,
) -> DensityOfWay {
    let mut crowd = Crowd {
        entrant,
        ground,
        until,
        longest: entrant.took,
        alive: Vec::new(),
        steps: Vec::new(),
    };
    let mut grow = || {
        crowd.look()?;
        for target in targets(asked) {
            crowd.grow(target, &|running| {
                progress.advance(running as u64, asked as u64);
            })?;
            crowd.look()?;
        }
        Ok(())
    };
    let ended = match grow() {
        Ok(()) => LoadEnd::Complete,
        Err(end) => end,
    };
    DensityOfWay {
        contender: entrant.contender,
        ran: crowd.alive.len(),
        per_instance: per_instance(&crowd.steps, |it| Some(-(it.available_bytes as f64))),
        charged_per_instance: per_instance(&crowd.steps, |it| Some(it.charged_bytes? as f64)),
        steps: crowd.steps,
        ended,
    }
}

/// 1, 2, 4, ... and `asked` at last.
fn targets(asked: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(1_usize), |target| target.checked_mul(2))
        .take_while(move |target| *target < asked)
        .chain(std::iter::once(asked))
}

struct Crowd<'a> {
    entrant: &'a Entrant<'a>,
    ground: Ground<'a>,
    until: Instant,
    /// The longest launch so far.
    longest: Duration,
    // Launched and dropped by this thread.
    alive: Vec<Alive>,
    steps: Vec<DensityStep>,
}

impl Crowd<'_> {
    /// Launches one after another until there are `target`.
    fn grow(&mut self, target: usize, show: &dyn Fn(usize)) -> Result<(), LoadEnd> {
        // The first two say what one costs, and are there in any case.
        let missing = u32::try_from(target - self.alive.len()).unwrap_or(u32::MAX);
        let takes = self.longest.saturating_mul(missing.saturating_add(1));
        if target > 1 && self.until.saturating_duration_since(Instant::now()) < takes {
            return Err(LoadEnd::OutOfTime);
        }
        while self.alive.len() < target {
            show(self.alive.len());
            let memory = HostMemory::read().map_err(|error| unread(&error))?;
            if memory.is_low() {
                return Err(LoadEnd::LowMemory {
                    available_bytes: memory.available,
                });
            }
            let another = self.launch()?;
            self.alive.push(another);
        }
        Ok(())
    }

    fn launch(&mut self) -> Result<Alive, LoadEnd> {
        let began = Instant::now();
        let patience = self.entrant.patience() + 2 * self.longest;
        let alive = Alive::launch(self.entrant, self.ground, patience, self.ground.interrupt)?;
        self.longest = match self.steps.len() {
            // The checked run was as long as the command, and its files were not in memory.
            0 | 1 => began.elapsed(),
            _ => self.longest.max(began.elapsed()),
        };
        Ok(alive)
    }

    /// Looks at the host while as many run as there are.
    fn look(&mut self) -> Result<(), LoadEnd> {
        let settled = host_memory::settled(self.ground.interrupt);
        let settled = settled.map_err(|error| unread(&error))?;
        let (available_bytes, is_settled) = settled.ok_or(LoadEnd::Interrupted)?;
        self.alive.iter().try_for_each(Alive::check)?;
        let charged = self.alive.iter().map(Alive::charged_bytes);
        self.steps.push(DensityStep {
            instances: self.alive.len(),
            available_bytes,
            is_settled,
            charged_bytes: charged.sum(),
            launch_ns: None,
        });
        let launches = if self.alive.is_empty() {
            None
        } else {
            Summary::of(&self.probe()?)
        };
        if let Some(step) = self.steps.last_mut() {
            step.launch_ns = launches;
        }
        Ok(())
    }

    /// How long another one takes, in nanoseconds, some times.
    fn probe(&mut self) -> Result<Vec<u64>, LoadEnd> {
        let began = Instant::now();
        let mut launches = Vec::new();
        while launches.len() < PROBES && began.elapsed() < PROBE_FOR {
            launches.push(self.launch()?.took_ns);
        }
        Ok(launches)
    }
}

fn unread(error: &std::io::Error) -> LoadEnd {
    LoadEnd::Failed {
        reason: format!("the host's memory can't be read: {}", Chain(error)),
    }
}

/// The slope of what all have taken, in bytes, over how many there are.
fn per_instance(
    steps: &[DensityStep],
    taken: impl Fn(&DensityStep) -> Option<f64>,
) -> Option<PerInstance> {
    const MIB: f64 = (1 << 20) as f64;
    let points = steps
        .iter()
        .map(|step| Some((step.instances as f64, taken(step)? / MIB)));
    let points: Vec<_> = points.collect::<Option<_>>()?;
    let found = theil_sen::slope(&points)?;
    Some(PerInstance {
        mib: found.slope,
        interval_mib: (steps.len() >= STEPS_FOR_INTERVAL).then_some(found.interval),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_twice_as_many_each_time_and_what_was_asked_for_at_last() {
        for (asked, expected) in [
            (1, &[1][..]),
            (2, &[1, 2]),
            (3, &[1, 2, 3]),
            (8, &[1, 2, 4, 8]),
            (9, &[1, 2, 4, 8, 9]),
        ] {
            assert_eq!(targets(asked).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn what_one_more_takes_is_the_slope_of_what_all_have_taken() {
        let step = |(instances, available_mib): &(usize, u64)| DensityStep {
            instances: *instances,
            available_bytes: available_mib << 20,
            is_settled: true,
            charged_bytes: Some(*instances as u64 * (9 << 20)),
            launch_ns: None,
        };
        let steps = [(0, 1000), (1, 990), (2, 980), (4, 960), (8, 500)].map(|it| step(&it));
        let taken = |step: &DensityStep| Some(-(step.available_bytes as f64));
        let found = per_instance(&steps, taken).unwrap();
        assert!((found.mib - 10.0).abs() < 1e-9, "{found:?}");
        assert!(found.interval_mib.unwrap().high > 50.0, "{found:?}");
        assert_eq!(per_instance(&steps[..4], taken).unwrap().interval_mib, None);
        assert_eq!(per_instance(&steps[..1], taken), None);
        let charged = |step: &DensityStep| Some(step.charged_bytes? as f64);
        assert!((per_instance(&steps, charged).unwrap().mib - 9.0).abs() < 1e-9);
        let unknown = |step: &DensityStep| (step.instances < 4).then_some(0.0);
        assert_eq!(per_instance(&steps, unknown), None);
    }
}
