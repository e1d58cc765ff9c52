//! Many instances: what one more costs, and how long many take that are launched at once.
//!
//! [`elasticity`] does not need many, and shows of one how soon what it freed is the host's again.
//!
//! [`measure`] is the way in. [`density`] keeps 1, 2, 4, ... of them running and looks at the host's
//! memory; [`concurrency`] launches all at the same moment. [`Alive`] is one of them. A launch that
//! fails, or a host without room for more, ends a part and is a result.

mod alive;
mod concurrency;
mod density;
mod drain;
mod elasticity;
mod files;
mod host_memory;
mod report;

use std::fs::File;
use std::time::{Duration, Instant};

use launch::Progress;

pub use report::{
    Concurrency, ConcurrencyOfWay, Density, DensityOfWay, DensityStep, Elasticity, ElasticityOfWay,
    Held, Load, LoadEnd, PerInstance,
};

use crate::measure::MeasureError;
use crate::series::Entrant;
use crate::{Interrupt, Metric, Readiness};
use drain::Drain;
use files::MoreFiles;

/// What is measured of many instances. `None` for what is not.
#[derive(Clone, Debug, Default)]
pub struct LoadPlan {
    /// So many are kept running at most.
    pub density: Option<usize>,
    /// So many are launched at once.
    pub concurrency: Option<usize>,
    /// What shows that a command has freed the memory that it had taken: a line.
    pub freed: Option<Readiness>,
    /// For each of the first two: the quick ways come first, and the others have what is left.
    pub budget: Duration,
}

impl LoadPlan {
    /// Whether there is anything to measure.
    pub fn is_empty(&self) -> bool {
        self.density.is_none() && self.concurrency.is_none() && self.freed.is_none()
    }
}

/// What all instances are launched with.
#[derive(Clone, Copy)]
struct Ground<'a> {
    stdin: Option<&'a File>,
    readiness: Option<&'a Readiness>,
    drain: &'a Drain,
    interrupt: &'a Interrupt,
}

impl Ground<'_> {
    /// What shows that an instance is there.
    fn metric(&self) -> Metric {
        match self.readiness {
            Some(_) => Metric::Ready,
            None => Metric::Main,
        }
    }
}

/// Measures what `plan` says of each entrant, the quickest first. An interrupt ends it early, and
/// what there is then is reported. Nothing is left running.
///
/// # Errors
///
/// When nothing can be measured at all.
pub(crate) fn measure(
    plan: &LoadPlan,
    entrants: &[Entrant<'_>],
    stdin: Option<&File>,
    readiness: Option<&Readiness>,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Load, MeasureError> {
    if plan.is_empty() || entrants.is_empty() {
        return Ok(Load::default());
    }
    interrupt.hold_results();
    let _files = MoreFiles::allow();
    let drain = Drain::start().map_err(MeasureError::Capture)?;
    let ground = Ground {
        stdin,
        readiness,
        drain: &drain,
        interrupt,
    };
    let mut quick_first: Vec<_> = entrants.iter().collect();
    quick_first.sort_by_key(|entrant| entrant.took);
    let order = |contender| entrants.iter().position(|it| it.contender == contender);
    progress.begin("many at once");
    let density = plan.density.map(|asked| {
        let mut ways = shared(&quick_first, plan.budget, |entrant, until| {
            density::of_way(entrant, asked, until, ground, progress)
        });
        ways.sort_by_key(|it: &DensityOfWay| order(it.contender));
        Density {
            asked,
            metric: ground.metric(),
            ways,
        }
    });
    let concurrency = plan.concurrency.map(|asked| {
        let mut ways = shared(&quick_first, plan.budget, |entrant, until| {
            concurrency::of_way(entrant, asked, until, ground)
        });
        ways.sort_by_key(|it: &ConcurrencyOfWay| order(it.contender));
        Concurrency {
            asked,
            metric: ground.metric(),
            ways,
        }
    });
    let elasticity = plan.freed.as_ref().map(|freed| Elasticity {
        ways: elasticity::of_ways(entrants, freed, plan.budget, ground),
    });
    progress.end();
    Ok(Load {
        density,
        concurrency,
        elasticity,
    })
}

/// Lets one after another use an equal part of the time that is left.
fn shared<T>(
    entrants: &[&Entrant<'_>],
    budget: Duration,
    of_way: impl Fn(&Entrant<'_>, Instant) -> T,
) -> Vec<T> {
    let end = Instant::now() + budget;
    let all = entrants.iter().enumerate().map(|(index, entrant)| {
        let now = Instant::now();
        let left = u32::try_from(entrants.len() - index).unwrap_or(u32::MAX);
        of_way(entrant, now + end.saturating_duration_since(now) / left)
    });
    all.collect()
}

#[cfg(test)]
mod tests;
