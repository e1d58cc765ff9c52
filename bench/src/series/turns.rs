use std::fs::File;
use std::time::{Duration, Instant};

use launch::{MonotonicNs, Prepared, Progress};
use serde::{Deserialize, Serialize};

use super::{Metric, Sample, SampleOutcome, Schedule};
use crate::measure::{self, Look, MeasureError, Run, Until};
use crate::{Contender, Interrupt, Outcome, Readiness};

/// How many runs there are to be.
#[derive(Clone, Debug)]
pub struct SeriesPlan {
    /// Timed runs of each contender.
    pub runs: usize,
    /// Rounds before those, which are in no figure.
    pub warm_up: usize,
    /// No run is begun that would not be over by then, and none that would leave too little time for
    /// those that are quicker. One of each is run in any case, and one to warm up if there are to be any.
    pub budget: Duration,
    /// What is timed: a run is followed no further than that needs.
    pub metrics: Vec<Metric>,
    /// Whether runs are followed to their end for what the workload reports of itself, whatever is
    /// timed.
    pub figures: bool,
    /// What shows that a workload is ready. Runs are followed no further than to that then.
    pub readiness: Option<Readiness>,
    /// Whether the command goes on until it is ended: no run is followed to its end then.
    pub goes_on: bool,
    /// Decides the order.
    pub seed: u64,
}

impl SeriesPlan {
    /// How far the run that is checked is followed.
    pub(crate) fn follow_checked(&self) -> Until {
        match (&self.readiness, self.goes_on) {
            (Some(_), _) => Until::Ready,
            (None, true) => Until::Settled,
            (None, false) => Until::End,
        }
    }

    fn follow(&self) -> Until {
        if self.figures {
            return self.follow_checked();
        }
        match self.metrics.iter().max() {
            None | Some(Metric::Main) => Until::Main,
            Some(Metric::Memory) => match self.follow_checked() {
                Until::End => Until::Settled,
                sooner => sooner,
            },
            Some(_) => self.follow_checked(),
        }
    }
}

/// One that is ready to take turns.
pub struct Entrant<'a> {
    /// Who it is.
    pub contender: Contender,
    /// What is launched each time.
    pub prepared: &'a dyn Prepared,
    /// How the run ended that was checked; `None` if it was ready, and was not followed further.
    /// One that ends in another way has failed.
    pub exit_code: Option<u8>,
    /// How long that run took.
    pub took: Duration,
}

impl Entrant<'_> {
    /// After this a run hangs: no machine gets that much slower.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(30) + 10 * self.took
    }
}

/// Why there are no more runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// All were done.
    Complete,
    /// The time was used up.
    OutOfTime,
    /// The user asked for the end.
    Interrupted,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// What decided the order.
    pub seed: u64,
    /// How many runs of each there were to be.
    pub runs_asked: usize,
    /// How many rounds were begun and ended, without those that warmed up.
    pub rounds: usize,
    /// What was timed.
    pub metrics: Vec<Metric>,
    /// The time that was given, in nanoseconds.
    pub budget_ns: u64,
    /// The time that was taken, in nanoseconds.
    pub took_ns: u64,
    /// Why it ended.
    pub ended: Ended,
    /// Every run, in order, those that failed and those that warmed up among them.
    pub samples: Vec<Sample>,
}

impl Series {
    /// Those of a contender that did not only warm up, in order; those that failed among them.
    pub fn timed(&self, contender: Contender) -> impl Iterator<Item = &Sample> {
        let samples = self.samples.iter();
        samples.filter(move |sample| !sample.is_warm_up && sample.contender == contender)
    }
}

/// Lets `entrants` take turns. Progress is shown between runs only, so that it disturbs none.
///
/// # Errors
///
/// When a run can't be measured at all. An interrupt ends the series and is no error.
pub fn run(
    plan: &SeriesPlan,
    entrants: &[Entrant<'_>],
    stdin: Option<&File>,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Series, MeasureError> {
    interrupt.hold_results();
    let began = Instant::now();
    let mut series = Series {
        seed: plan.seed,
        runs_asked: plan.runs,
        rounds: 0,
        metrics: plan.metrics.clone(),
        budget_ns: nanoseconds(plan.budget),
        took_ns: 0,
        ended: Ended::Complete,
        samples: Vec::new(),
    };
    progress.begin("measuring");
    let turns = Turns {
        plan,
        entrants,
        stdin,
        progress,
        interrupt,
        began,
    };
    let ended = turns.take(&mut series);
    progress.end();
    series.ended = ended?;
    series.took_ns = nanoseconds(began.elapsed());
    Ok(series)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

struct Turns<'a> {
    plan: &'a SeriesPlan,
    entrants: &'a [Entrant<'a>],
    stdin: Option<&'a File>,
    progress: &'a dyn Progress,
    interrupt: &'a Interrupt,
    began: Instant,
}

impl Turns<'_> {
    fn take(&self, series: &mut Series) -> Result<Ended, MeasureError> {
        let rounds = self.plan.warm_up + self.plan.runs;
        let mut costs: Vec<Duration> = self.entrants.iter().map(|it| it.took).collect();
        let contenders: Vec<_> = self.entrants.iter().map(|it| it.contender).collect();
        let mut is_any_left_out = false;
        let schedule = Schedule::new(self.plan.seed, self.entrants.len());
        for (round, order) in schedule.take(rounds).enumerate() {
            let left = rounds - round;
            let is_warm_up = round < self.plan.warm_up;
            // Time for the first timed round, in which all take part, is not for warming up.
            let time = match is_warm_up {
                true => self.time_left().saturating_sub(costs.iter().sum()),
                false => self.time_left(),
            };
            let takes_part = match round == 0 || round == self.plan.warm_up {
                true => vec![true; costs.len()],
                false => affordable(&with_references(&contenders, &costs), left, time),
            };
            is_any_left_out |= takes_part.contains(&false);
            if !is_warm_up && !takes_part.contains(&true) {
                break;
            }
            for index in order.into_iter().filter(|index| takes_part[*index]) {
                self.show(&costs, left);
                let began = Instant::now();
                let entrant = &self.entrants[index];
                let run = match self.run(entrant) {
                    Ok(run) => run,
                    Err(MeasureError::Interrupted) => return Ok(Ended::Interrupted),
                    Err(error) => return Err(error),
                };
                let order = series.samples.len();
                let sample = sample(entrant, order, round, is_warm_up, run);
                series.samples.push(sample);
                costs[index] = match round {
                    0 => began.elapsed(),
                    _ => costs[index].max(began.elapsed()),
                };
            }
            series.rounds += usize::from(!is_warm_up);
        }
        Ok(match is_any_left_out {
            true => Ended::OutOfTime,
            false => Ended::Complete,
        })
    }

    fn run(&self, entrant: &Entrant<'_>) -> Result<Run, MeasureError> {
        let stdin = measure::open_stdin(self.stdin).map_err(MeasureError::Stdin)?;
        // A runner that is killed for a figure that it does not have would leave what it runs.
        let metrics = self.plan.metrics.iter().copied();
        let metrics: Vec<_> = metrics.filter(|it| entrant.contender.has(*it)).collect();
        let look = Look {
            follows_cpu: self.plan.figures && self.plan.metrics.contains(&Metric::Cpu),
            metrics: &metrics,
            readiness: self.plan.readiness.as_ref(),
            ..Look::new(self.plan.follow(), entrant.patience(), self.interrupt)
        };
        measure::run(entrant.prepared, stdin, look)
    }

    fn time_left(&self) -> Duration {
        self.plan.budget.saturating_sub(self.began.elapsed())
    }

    /// How far it is: in time, as runs are not all as long as each other. `left` rounds are not
    /// over.
    fn show(&self, costs: &[Duration], left: usize) {
        let elapsed = self.began.elapsed();
        let round: Duration = costs.iter().sum();
        let rounds = u32::try_from(left).unwrap_or(u32::MAX);
        let total = (elapsed + round.saturating_mul(rounds)).min(self.plan.budget.max(elapsed));
        let milliseconds = |it: Duration| u64::try_from(it.as_millis()).unwrap_or(u64::MAX);
        self.progress
            .advance(milliseconds(elapsed), milliseconds(total));
    }
}

/// What a run of each takes, and no less than one of what it is held against: that comes first, as without
/// it there is no verdict.
fn with_references(contenders: &[Contender], costs: &[Duration]) -> Vec<Duration> {
    let cost_of = |contender| {
        let place = contenders.iter().position(|it| *it == contender);
        place.map(|place| costs[place])
    };
    let of = |(contender, cost): (&Contender, &Duration)| {
        let reference = contender.reference().and_then(cost_of);
        reference.map_or(*cost, |reference| reference.max(*cost))
    };
    contenders.iter().zip(costs).map(of).collect()
}

/// Which of those that take so long can take part in the next of `left` rounds: the quickest come
/// first, and time for all their rounds is kept for them, so that a slow one can't take it away.
fn affordable(costs: &[Duration], left: usize, mut time: Duration) -> Vec<bool> {
    let mut by_cost: Vec<usize> = (0..costs.len()).collect();
    by_cost.sort_by_key(|index| costs[*index]);
    let rounds = u32::try_from(left).unwrap_or(u32::MAX);
    let mut takes_part = vec![false; costs.len()];
    for index in by_cost {
        if costs[index] > time {
            break;
        }
        takes_part[index] = true;
        time = time.saturating_sub(costs[index].saturating_mul(rounds));
    }
    takes_part
}

fn sample(entrant: &Entrant<'_>, order: usize, round: usize, is_warm_up: bool, run: Run) -> Sample {
    let outcome = match run.outcome {
        None | Some(Outcome::Ready) => SampleOutcome::Reached,
        Some(Outcome::Ended { exit_code, .. }) if Some(exit_code) == entrant.exit_code => {
            SampleOutcome::Ended { exit_code }
        }
        Some(Outcome::Ended { exit_code, .. }) => SampleOutcome::Failed {
            reason: match entrant.exit_code {
                Some(checked) => format!("exit code {exit_code} in place of {checked}"),
                None => format!("exit code {exit_code}, where it should have been ready"),
            },
        },
        Some(Outcome::Failed { error, .. }) => SampleOutcome::Failed { reason: error },
    };
    Sample {
        contender: entrant.contender,
        order,
        round,
        is_warm_up,
        started_at: run.started_at.unwrap_or(MonotonicNs(0)),
        outcome,
        launch_to_main_ns: run.launch_to_main_ns,
        launch_to_ready_ns: run.launch_to_ready_ns,
        launch_to_exit_ns: run.launch_to_exit_ns,
        exit_to_gone_ns: run.exit_to_gone_ns,
        memory_bytes: run.footprint.settled_bytes(),
        cpu_ns: run.cpu_ns,
        idle_cpu_ns: run.idle_cpu_ns,
        kill_to_exit_ns: run.kill_to_exit_ns,
        spans: run.spans,
        reported: run.reported,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_followed_no_further_than_what_is_measured_of_it() {
        use Metric::{Cpu, Exit, Gone, Idle, Main, Memory, Ready, Stop};
        let sign = "log:up".parse::<Readiness>().unwrap();
        for (metrics, sign, goes_on, figures, until) in [
            (vec![], None, false, false, Until::Main),
            (vec![Main], None, false, false, Until::Main),
            (vec![Memory], None, false, false, Until::Settled),
            (vec![Main, Memory], None, true, false, Until::Settled),
            (vec![Memory, Exit], None, false, false, Until::End),
            (vec![Cpu], None, false, false, Until::End),
            (vec![Gone], None, false, false, Until::End),
            (vec![Ready, Memory], Some(&sign), false, false, Until::Ready),
            (vec![Memory], Some(&sign), false, false, Until::Ready),
            (vec![Main], Some(&sign), false, false, Until::Main),
            (vec![Memory], None, false, true, Until::End),
            (vec![Main, Idle], None, true, false, Until::Settled),
            (vec![Stop, Gone], None, true, false, Until::Settled),
            (vec![Stop, Gone], Some(&sign), true, false, Until::Ready),
        ] {
            let plan = SeriesPlan {
                runs: 1,
                warm_up: 0,
                budget: Duration::ZERO,
                metrics,
                figures,
                readiness: sign.cloned(),
                goes_on,
                seed: 0,
            };
            assert_eq!(plan.follow(), until, "{plan:?}");
        }
    }

    #[test]
    fn what_another_one_is_held_against_comes_before_it() {
        use Contender::{Container, JaulaRun, JaulaRunVmCold, VmCold};
        let contenders = [Container, VmCold, JaulaRun, JaulaRunVmCold];
        let costs = with_references(
            &contenders,
            &[3, 7_000, 40, 6_900].map(Duration::from_millis),
        );
        assert_eq!(costs, [3, 7_000, 40, 7_000].map(Duration::from_millis));
        // Of those that take as long, the first.
        let takes_part = affordable(&costs, 1, Duration::from_secs(8));
        assert_eq!(takes_part, [true, true, true, false]);
    }

    #[test]
    fn a_slow_one_takes_no_time_from_the_quick_ones() {
        let costs = [7_000, 3, 400].map(Duration::from_millis);
        for (left, seconds, expected) in [
            (10, 60, [true, true, true]),
            (10, 10, [false, true, true]),
            (10, 11, [false, true, true]),
            (10, 12, [true, true, true]),
            (1, 8, [true, true, true]),
            (100, 7, [false, true, true]),
            (100, 0, [false, false, false]),
        ] {
            let time = Duration::from_secs(seconds);
            assert_eq!(affordable(&costs, left, time), expected, "{left} {seconds}");
        }
    }
}
