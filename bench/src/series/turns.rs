use std::fs::File;
use std::time::{Duration, Instant};

use launch::{MonotonicNs, Prepared, Progress};
use serde::{Deserialize, Serialize};

use super::{Metric, Sample, SampleOutcome, Schedule};
use crate::measure::{self, Follow, MeasureError, Run};
use crate::{Contender, Interrupt, Outcome};

/// How many runs there are to be.
#[derive(Clone, Debug)]
pub struct SeriesPlan {
    /// Timed runs of each contender.
    pub runs: usize,
    /// Rounds before those, which are in no figure.
    pub warm_up: usize,
    /// No round is begun that would not be over by then. One is run in any case.
    pub budget: Duration,
    /// What is timed: a run is followed no further than that needs.
    pub metrics: Vec<Metric>,
    /// Decides the order.
    pub seed: u64,
}

impl SeriesPlan {
    fn follow(&self) -> Follow {
        match self.metrics.iter().max() {
            None | Some(Metric::Main) => Follow::ToMain,
            Some(Metric::Exit | Metric::Gone) => Follow::ToEnd,
        }
    }
}

/// One that is ready to take turns.
pub struct Entrant<'a> {
    /// Who it is.
    pub contender: Contender,
    /// What is launched each time.
    pub prepared: &'a dyn Prepared,
    /// How the run ended that was checked. One that ends in another way has failed.
    pub exit_code: u8,
    /// How long that run took.
    pub took: Duration,
}

impl Entrant<'_> {
    /// After this a run hangs: no machine gets that much slower.
    fn patience(&self) -> Duration {
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
        let mut longest: Duration = self.entrants.iter().map(|entrant| entrant.took).sum();
        let schedule = Schedule::new(self.plan.seed, self.entrants.len());
        for (round, order) in schedule.take(rounds).enumerate() {
            let is_warm_up = round < self.plan.warm_up;
            if series.rounds > 0 && self.began.elapsed() + longest > self.plan.budget {
                return Ok(Ended::OutOfTime);
            }
            let round_began = Instant::now();
            for (turn, index) in order.into_iter().enumerate() {
                let done = round as f64 + turn as f64 / self.entrants.len() as f64;
                self.show(done, rounds, longest);
                let entrant = &self.entrants[index];
                let ran = match measure::open_stdin(self.stdin) {
                    Ok(stdin) => {
                        let follow = self.plan.follow();
                        measure::run(
                            entrant.prepared,
                            stdin,
                            follow,
                            entrant.patience(),
                            self.interrupt,
                        )
                    }
                    Err(error) => Err(MeasureError::Stdin(error)),
                };
                let run = match ran {
                    Ok(run) => run,
                    Err(MeasureError::Interrupted) => return Ok(Ended::Interrupted),
                    Err(error) => return Err(error),
                };
                let order = series.samples.len();
                let sample = sample(entrant, order, round, is_warm_up, run);
                series.samples.push(sample);
            }
            longest = match round {
                0 => round_began.elapsed(),
                _ => longest.max(round_began.elapsed()),
            };
            series.rounds += usize::from(!is_warm_up);
        }
        Ok(Ended::Complete)
    }

    /// How far it is: in time, as rounds are not all as long as each other.
    fn show(&self, rounds_done: f64, rounds: usize, longest: Duration) {
        let elapsed = self.began.elapsed();
        let left = longest.mul_f64((rounds as f64 - rounds_done).max(0.0));
        let total = (elapsed + left).min(self.plan.budget.max(longest));
        let milliseconds = |it: Duration| u64::try_from(it.as_millis()).unwrap_or(u64::MAX);
        self.progress
            .advance(milliseconds(elapsed.min(total)), milliseconds(total));
    }
}

fn sample(entrant: &Entrant<'_>, order: usize, round: usize, is_warm_up: bool, run: Run) -> Sample {
    let outcome = match run.outcome {
        None => SampleOutcome::ReachedMain,
        Some(Outcome::Ended { exit_code, .. }) if exit_code == entrant.exit_code => {
            SampleOutcome::Ended { exit_code }
        }
        Some(Outcome::Ended { exit_code, .. }) => SampleOutcome::Failed {
            reason: format!("exit code {exit_code} in place of {}", entrant.exit_code),
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
        launch_to_exit_ns: run.launch_to_exit_ns,
        exit_to_gone_ns: run.exit_to_gone_ns,
        spans: run.spans,
    }
}
