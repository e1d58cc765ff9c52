mod others;

use std::borrow::Cow;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use launch::{Launcher, Prepared, Progress, Side, Workload};

use crate::load::{self, Load, LoadPlan};
use crate::measure::{self, Look, MeasureError, Run};
use crate::series::Entrant;
use crate::{
    Comparison, Contender, Difference, DiskUse, Durability, Environment, Interrupt, Isolation,
    Metric, Outcome, Series, SeriesPlan, Way, WayReport, Ways, WorkloadFacts, disk, reported,
    results, series, warnings,
};

/// What is not ready by then, when it is checked, will not be: not even where VMs boot slowly.
const READY_WITHIN: Duration = Duration::from_secs(240);

/// Why there is no comparison. A launcher that fails is not such a reason, unless all do: it is
/// in the report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No launcher can run this workload at all; this is the container's reason.
    #[error("neither a container nor a vm can be prepared")]
    Prepare(#[source] launch::Error),
    /// A run could not be measured.
    #[error("the {way} can't be measured")]
    Measure {
        /// Which way it ran.
        way: Way,
        /// Why.
        source: MeasureError,
    },
    /// What else was to run could not be measured.
    #[error("{contender} can't be measured")]
    Other {
        /// Who.
        contender: Contender,
        /// Why.
        source: MeasureError,
    },
    /// A timed run could not be measured.
    #[error("a timed run can't be measured")]
    Series(#[source] MeasureError),
    /// Many instances could not be measured.
    #[error("many instances can't be measured")]
    Load(#[source] MeasureError),
    /// The interrupt was raised before there was anything to report.
    #[error("interrupted")]
    Interrupted,
}

/// What is compared, and how.
pub struct Plan<'a> {
    /// Who launches each way.
    pub launchers: Ways<&'a dyn Launcher>,
    /// What runs each way.
    pub workload: &'a Workload,
    /// What the command reads, from the file's beginning each time; nothing if `None`.
    pub stdin: Option<&'a File>,
    /// Who else takes turns, in the order in which they are shown.
    pub others: Vec<Other>,
    /// Where it runs, for the report.
    pub environment: Environment,
    /// The timed runs.
    pub series: SeriesPlan,
    /// Many instances at once.
    pub load: LoadPlan,
}

impl Plan<'_> {
    /// How the run is looked at that is checked.
    fn look<'a>(
        &'a self,
        observes: Option<Side>,
        own_volumes: Option<&'a [PathBuf]>,
        patience: Duration,
        interrupt: &'a Interrupt,
    ) -> Look<'a> {
        let patience = match self.series.readiness {
            Some(_) => patience.min(READY_WITHIN),
            None => patience,
        };
        Look {
            observes,
            metrics: &[Metric::Memory],
            own_volumes,
            is_checked: true,
            readiness: self.series.readiness.as_ref(),
            ..Look::new(self.series.follow_checked(), patience, interrupt)
        }
    }
}

/// One beside the three ways.
pub struct Other {
    /// Who.
    pub contender: Contender,
    /// What is launched each time, or why there is nothing.
    pub prepared: Result<Box<dyn Prepared>, launch::Error>,
}

type PreparedWays = Ways<Result<Box<dyn Prepared>, launch::Error>>;

/// Runs the workload once each way and compares what came of it, then times it.
///
/// All ways are prepared before any is launched, so that the preparation of one does not disturb
/// the run of another. One that can't be prepared, or fails, is reported as failed and not timed.
/// An interrupt ends the timed runs early, and what was timed is reported.
///
/// # Errors
///
/// When no way can be prepared, one can't be measured, or `interrupt` was raised before anything was
/// timed. Nothing is left running.
pub fn compare(
    plan: Plan<'_>,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Comparison, Error> {
    let prepared = prepare(&plan, progress, interrupt)?;
    let volumes = disk::volumes(plan.workload);
    let ways = Ways::try_of(|way| {
        let prepared = match prepared.get(way) {
            Ok(prepared) => prepared.as_ref(),
            Err(error) => return Ok(report(way, Run::not_launched(error))),
        };
        let stdin = measure::open_stdin(plan.stdin).map_err(MeasureError::Stdin);
        // Where no run is timed, its own times are what is shown: nothing may be added to them.
        let observes = (plan.series.runs > 0).then_some(way.side());
        let look = plan.look(observes, Some(&volumes), Duration::MAX, interrupt);
        if observes.is_some() {
            progress.begin(&format!("checking {way}"));
        }
        let run = stdin.and_then(|stdin| measure::run(prepared, stdin, look));
        progress.end();
        run.map(|mut run| WayReport {
            disk: DiskUse::of(&prepared.disk_files(), run.own_disk.take()),
            isolation: Isolation::of(
                *plan.launchers.get(way),
                way,
                plan.workload,
                run.observed.take(),
            ),
            ..report(way, run)
        })
        .map_err(|error| match error {
            MeasureError::Interrupted => Error::Interrupted,
            source => Error::Measure { way, source },
        })
    })?;
    let of_ways = entrants(&prepared, &ways);
    let (entrants, others) = others::check(of_ways, &plan, &ways, interrupt)?;
    let series = time(&plan, &entrants, progress, interrupt)?;
    let load = load(
        &plan,
        &self::entrants(&prepared, &ways),
        progress,
        interrupt,
    )?;
    let contenders: Vec<_> = entrants.iter().map(|entrant| entrant.contender).collect();
    let mut comparison = Comparison {
        workload: WorkloadFacts::from(plan.workload),
        environment: plan.environment,
        stdout_differences: Difference::of_neighbours(&ways, |report| {
            reported::comparable(&report.stdout, report.reported.as_ref())
        }),
        stderr_differences: Difference::of_neighbours(&ways, |report| {
            Cow::Borrowed(&report.stderr)
        }),
        figures: match &series {
            Some(series) => reported::of_series(series, &contenders),
            None => reported::of_checked(&ways),
        },
        ways,
        durability: Durability::of(plan.workload).into(),
        others,
        results: series
            .iter()
            .flat_map(|series| results::of_series(series, &contenders))
            .collect(),
        series,
        load,
        warnings: Vec::new(),
    };
    comparison.warnings = warnings::raised(&comparison);
    Ok(comparison)
}

fn prepare(
    plan: &Plan<'_>,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<PreparedWays, Error> {
    let prepared = Ways::try_of(|way| {
        if interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        Ok(plan.launchers.get(way).prepare(plan.workload, progress))
    })?;
    match prepared {
        Ways {
            container: Err(error),
            vm_cold: Err(_),
            vm_warm: Err(_),
        } => Err(Error::Prepare(error)),
        some => Ok(some),
    }
}

/// One that was followed to its end.
fn report(way: Way, run: Run) -> WayReport {
    WayReport::new(way, checked(&run), run)
}

/// How a run ended that was followed to its end, or until it was ready.
fn checked(run: &Run) -> Outcome {
    match &run.outcome {
        None => Outcome::Ready,
        Some(outcome) => outcome.clone(),
    }
}

/// Those that could run the command and ended alike, in the order in which they are shown: times of what
/// comes to something else are of something else.
fn entrants<'a>(prepared: &'a PreparedWays, ways: &Ways<WayReport>) -> Vec<Entrant<'a>> {
    let first = ways.first_that_ran();
    let of_way = |way: Way| {
        let report = ways.get(way);
        if !first.is_some_and(|first| report.outcome.is_like(&first.outcome)) {
            return None;
        }
        Some(Entrant {
            contender: way.into(),
            prepared: prepared.get(way).as_ref().ok()?.as_ref(),
            exit_code: report.outcome.exit_code(),
            took: Duration::from_nanos(
                report
                    .launch_to_exit_ns
                    .or(report.launch_to_ready_ns)
                    .or(report.launch_to_main_ns)?,
            ),
        })
    };
    [Way::Container, Way::VmCold, Way::VmWarm]
        .into_iter()
        .filter_map(of_way)
        .collect()
}

/// Times those that there are, unless there is nothing to hold one against.
fn time(
    plan: &Plan<'_>,
    entrants: &[Entrant<'_>],
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Option<Series>, Error> {
    if plan.series.runs == 0 || entrants.len() < 2 {
        return Ok(None);
    }
    series::run(&plan.series, entrants, plan.stdin, progress, interrupt)
        .map(Some)
        .map_err(Error::Series)
}

/// Measures many instances of each way at once.
fn load(
    plan: &Plan<'_>,
    ways: &[Entrant<'_>],
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Load, Error> {
    let readiness = plan.series.readiness.as_ref();
    load::measure(&plan.load, ways, plan.stdin, readiness, progress, interrupt).map_err(Error::Load)
}

#[cfg(test)]
mod tests;
