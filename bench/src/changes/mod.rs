//! What changed between two results of a suite: of another day, another version, another host.

mod places;
mod words;

pub use places::differences;

use rand::SeedableRng;
use serde::{Deserialize, Serialize};

use crate::export::Measured;
use crate::statistics::{Random, Summary, UnpairedComparison};
use crate::{Comparison, Contender, Quantity, WorkloadFacts};

/// Two results, held against each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Changes {
    /// What both measured.
    pub rows: Vec<Change>,
    /// What is not compared, and why, in one line each.
    pub left_out: Vec<String>,
    /// What else is not the same, and may be why figures differ, in one line each.
    pub circumstances: Vec<String>,
}

/// A quantity of one contender, before and after. All is in nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The workload's name.
    pub workload: String,
    /// What was measured.
    pub quantity: Quantity,
    /// Of whom.
    pub contender: Contender,
    /// The older series.
    pub before: Summary,
    /// The newer series.
    pub after: Summary,
    /// How many runs failed of the older series, and of the newer one; they are in no figure.
    pub failures: [usize; 2],
    /// The newer one held against the older one.
    pub comparison: UnpairedComparison,
}

/// Intervals are drawn from this seed, so that the same results give the same report.
const SEED: u64 = 1;

impl Changes {
    /// What `after` has that `before` has as well.
    pub fn between(before: &[Measured], after: &[Measured]) -> Self {
        let mut random = Random::seed_from_u64(SEED);
        let mut changes = Self {
            rows: Vec::new(),
            left_out: Vec::new(),
            circumstances: places::circumstances(before, after),
        };
        for new in after {
            let Some(old) = before.iter().find(|old| old.name == new.name) else {
                let line = format!("{} was not measured before", new.name);
                changes.left_out.push(line);
                continue;
            };
            let [was, is] = [old, new].map(|it| &it.comparison.workload);
            if let Some(difference) = difference(was, is) {
                let line = format!("{} was another workload before: {difference}", new.name);
                changes.left_out.push(line);
                continue;
            }
            changes.circumstances.extend(places::other_words(old, new));
            changes.add(old, new, &mut random);
        }
        for old in before {
            if !after.iter().any(|new| new.name == old.name) {
                let line = format!("{} was only measured before", old.name);
                changes.left_out.push(line);
            }
        }
        changes
    }

    /// What both have of a workload, and what only one of them has.
    fn add(&mut self, old: &Measured, new: &Measured, random: &mut Random) {
        let results = [old, new].map(|it| &it.comparison);
        let [was, is] = results.map(measured_in);
        let only_before = was.iter().filter(|it| !is.contains(it));
        for (quantity, contender) in is.iter().chain(only_before) {
            let series = results.map(|it| values(it, quantity, *contender));
            let [before, after] = series.each_ref().map(|it| Summary::of(it));
            let comparison = UnpairedComparison::of(&series[1], &series[0], random);
            let (Some(before), Some(after), Some(comparison)) = (before, after, comparison) else {
                let when = match (before, after) {
                    (None, None) => "neither before nor now",
                    (Some(_), _) => "only before",
                    (None, Some(_)) => "only now",
                };
                let name = &new.name;
                let line = format!("{name} has {quantity} of {contender} {when}");
                self.left_out.push(line);
                continue;
            };
            self.rows.push(Change {
                workload: new.name.clone(),
                quantity: quantity.clone(),
                contender: *contender,
                before,
                after,
                failures: results.map(|it| failures(it, *contender)),
                comparison,
            });
        }
    }
}

/// Why two workloads are not the same one.
fn difference(was: &WorkloadFacts, is: &WorkloadFacts) -> Option<&'static str> {
    if was.argv != is.argv {
        Some("its command is not the same")
    } else if was.root_digest != is.root_digest {
        Some("its image is not the same")
    } else if was != is {
        Some("its limits are not the same")
    } else {
        None
    }
}

/// What a result has figures of; or would have, had not every run failed.
fn measured_in(comparison: &Comparison) -> Vec<(Quantity, Contender)> {
    let of = |quantity: Quantity| {
        let rows = quantity.rows(comparison).into_iter();
        let contenders: Vec<_> = rows.map(|row| row.contender).collect();
        contenders.into_iter().map(move |it| (quantity.clone(), it))
    };
    Quantity::all(comparison).flat_map(of).collect()
}

fn failures(comparison: &Comparison, contender: Contender) -> usize {
    let series = comparison.series.iter();
    let samples = series.flat_map(|series| series.timed(contender));
    samples.filter(|sample| sample.has_failed()).count()
}

fn values(comparison: &Comparison, quantity: &Quantity, contender: Contender) -> Vec<u64> {
    let series = comparison.series.iter();
    let samples = series.flat_map(|series| series.timed(contender));
    samples.filter_map(|sample| quantity.of(sample)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::tests::measured;
    use crate::statistics::Verdict;
    use crate::{Metric, Sample, SampleOutcome};

    #[test]
    fn a_series_that_got_twice_as_slow_is_told_and_the_others_are_not() {
        let old = measured("startup");
        let mut new = old.clone();
        let samples = &mut new.comparison.series.as_mut().unwrap().samples;
        for sample in samples {
            if sample.contender == Contender::Container {
                sample.launch_to_main_ns = sample.launch_to_main_ns.map(|ns| 2 * ns);
            }
        }
        let changes = Changes::between(&[old], &[new]);
        assert_eq!(changes.left_out, [""; 0]);
        assert_eq!(changes.circumstances, [""; 0]);
        assert!(
            changes
                .in_short()
                .contains(" figures 0 got better, 1 got worse and "),
            "{}",
            changes.in_short()
        );
        let slower = |row: &&Change| row.comparison.verdict == Verdict::Slower;
        let slower: Vec<_> = changes.rows.iter().filter(slower).collect();
        let [row] = slower[..] else {
            panic!("{slower:?}");
        };
        let expected = (Quantity::Metric(Metric::Main), Contender::Container);
        assert_eq!((row.quantity.clone(), row.contender), expected);
        // What the workload reports of itself is there, too.
        for quantity in [Quantity::Figure, Quantity::CpuOfFigure] {
            let getppid = quantity("getppid".into());
            assert!(changes.rows.iter().any(|row| row.quantity == getppid));
        }
    }

    #[test]
    fn what_only_one_result_has_is_said() {
        let both = measured("startup");
        let mut failed = both.clone();
        let series = failed.comparison.series.as_mut().unwrap();
        for sample in &mut series.samples {
            if sample.contender == Contender::VmCold {
                let reason = "it did not start".into();
                sample.outcome = SampleOutcome::Failed { reason };
                sample.launch_to_main_ns = None;
                sample.reported = None;
            }
        }
        let mut without = both.clone();
        without.comparison.results.clear();
        let series = without.comparison.series.as_mut().unwrap();
        let is_left = |it: &Sample| it.contender != Contender::Container;
        series.samples.retain(is_left);
        for (old, new, said) in [
            (
                &both,
                &failed,
                "startup has launch to main of vm cold only before",
            ),
            (
                &failed,
                &both,
                "startup has launch to main of vm cold only now",
            ),
            (
                &both,
                &without,
                "startup has launch to main of container only before",
            ),
        ] {
            let changes = Changes::between(std::slice::from_ref(old), std::slice::from_ref(new));
            assert!(changes.left_out.contains(&said.into()), "{changes:?}");
        }
    }

    #[test]
    fn what_is_not_the_same_workload_is_left_out() {
        let [old, gone] = ["startup", "gone"].map(measured);
        let mut longer = old.clone();
        longer.comparison.workload.argv.push("more".into());
        let mut limited = old.clone();
        limited.comparison.workload.pids_limit = Some(7);
        for (new, expected) in [
            (
                longer,
                "startup was another workload before: its command is not the same",
            ),
            (
                limited,
                "startup was another workload before: its limits are not the same",
            ),
            (measured("new"), "new was not measured before"),
        ] {
            let changes = Changes::between(&[old.clone(), gone.clone()], &[new]);
            assert_eq!(changes.rows, []);
            assert_eq!(changes.left_out[0], expected);
            assert!(
                changes
                    .left_out
                    .contains(&"gone was only measured before".into())
            );
        }
    }
}
