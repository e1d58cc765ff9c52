//! Those beside the three ways, before they are timed.

use std::time::Duration;

use super::{Error, Other, Plan, checked};
use crate::measure::{self, MeasureError, Run};
use crate::series::Entrant;
use crate::{Contender, Interrupt, OtherReport, Way, WayReport, Ways, reported};

/// How long they are waited for at least: they may hang.
const AT_LEAST: Duration = Duration::from_secs(30);

/// Of what one wrote to standard error, so much is told, in characters.
const LONGEST_COMPLAINT: usize = 200;

/// Runs each once and adds those that end as the container does to `of_ways`: a process of the host
/// before them, other runners behind.
pub(super) fn check<'a>(
    of_ways: Vec<Entrant<'a>>,
    plan: &'a Plan<'_>,
    ways: &Ways<WayReport>,
    interrupt: &Interrupt,
) -> Result<(Vec<Entrant<'a>>, Vec<OtherReport>), Error> {
    let took = |contender: Contender| {
        let beside = match contender {
            Contender::HostProcess | Contender::JaulaRun | Contender::Peer(_) => of_ways
                .iter()
                .find(|it| it.contender == Contender::Container),
            _ => None,
        };
        let slowest = || of_ways.iter().max_by_key(|it| it.took);
        beside.or_else(slowest).map_or(Duration::ZERO, |it| it.took)
    };
    let patience = |contender| AT_LEAST + 10 * took(contender);
    let (mut before, mut behind, mut reports) = (Vec::new(), Vec::new(), Vec::new());
    for other in &plan.others {
        let run = run(other, plan, patience(other.contender), interrupt)?;
        let took = run
            .launch_to_exit_ns
            .or(run.launch_to_ready_ns)
            .or(run.launch_to_main_ns);
        let report = report(other.contender, &run, ways);
        if let (Ok(prepared), Some(took)) = (&other.prepared, took)
            && report.outcome.is_like(&ways.container.outcome)
        {
            let list = match other.contender {
                Contender::HostProcess => &mut before,
                _ => &mut behind,
            };
            list.push(Entrant {
                contender: other.contender,
                prepared: prepared.as_ref(),
                exit_code: report.outcome.exit_code(),
                took: Duration::from_nanos(took),
            });
        }
        reports.push(report);
    }
    before.extend(of_ways);
    before.extend(behind);
    Ok((before, reports))
}

fn run(
    other: &Other,
    plan: &Plan<'_>,
    patience: Duration,
    interrupt: &Interrupt,
) -> Result<Run, Error> {
    let prepared = match &other.prepared {
        Err(error) => return Ok(Run::not_launched(error)),
        Ok(prepared) => prepared.as_ref(),
    };
    let stdin = measure::open_stdin(plan.stdin).map_err(MeasureError::Stdin);
    stdin
        .and_then(|stdin| measure::run(prepared, stdin, plan.look(None, None, patience, interrupt)))
        .map_err(|error| match error {
            MeasureError::Interrupted => Error::Interrupted,
            source => Error::Other {
                contender: other.contender,
                source,
            },
        })
}

fn report(contender: Contender, run: &Run, ways: &Ways<WayReport>) -> OtherReport {
    let outcome = checked(run);
    let like = ways.get(contender.way_of_jaula_run().unwrap_or(Way::Container));
    let its = reported::comparable(&run.stdout, run.reported.as_ref());
    let expected = reported::comparable(&like.stdout, like.reported.as_ref());
    let mut lines = run.stderr.text.lines();
    let complaint = match outcome.is_like(&ways.container.outcome) {
        true => None,
        false => lines.find(|line| !line.trim().is_empty()),
    };
    OtherReport {
        contender,
        outcome,
        is_output_alike: its.sha256 == expected.sha256,
        complaint: complaint.map(|line| line.chars().take(LONGEST_COMPLAINT).collect()),
    }
}
