//! What changed between two results of a suite: of another day, another version, another host.

mod places;
mod words;

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
    /// Workloads that are not compared, and why, in one line each.
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
            changes.rows.extend(rows(old, new, &mut random));
        }
        for old in before {
            if !after.iter().any(|new| new.name == old.name) {
                let line = format!("{} was only measured before", old.name);
                changes.left_out.push(line);
            }
        }
        changes
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

fn rows(old: &Measured, new: &Measured, random: &mut Random) -> Vec<Change> {
    let mut rows = Vec::new();
    for quantity in Quantity::all(&new.comparison) {
        for row in quantity.rows(&new.comparison) {
            let contender = row.contender;
            let [before, after] = [old, new].map(|it| values(&it.comparison, &quantity, contender));
            let both = Summary::of(&before).zip(Summary::of(&after));
            let comparison = UnpairedComparison::of(&after, &before, random);
            if let Some(((before, after), comparison)) = both.zip(comparison) {
                rows.push(Change {
                    workload: new.name.clone(),
                    quantity: quantity.clone(),
                    contender,
                    before,
                    after,
                    comparison,
                });
            }
        }
    }
    rows
}

fn values(comparison: &Comparison, quantity: &Quantity, contender: Contender) -> Vec<u64> {
    let series = comparison.series.iter();
    let samples = series.flat_map(|series| series.timed(contender));
    samples.filter_map(|sample| quantity.of(sample)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Metric;
    use crate::export::tests::measured;
    use crate::statistics::Verdict;

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
