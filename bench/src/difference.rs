use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use similar::{DiffTag, TextDiff};

use crate::{Captured, Way, WayReport, Ways};

/// Longest search for the smallest difference. Hostile outputs take time that is quadratic in
/// their length; after this the difference found is still right, though not the smallest.
const SEARCH_LIMIT: Duration = Duration::from_secs(2);

/// One thing for each of the two ways that a difference is between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair<T> {
    /// The one's that is shown first.
    pub first: T,
    /// The other's.
    pub second: T,
}

/// Lines that stand at the same place in both outputs and are not the same. One of them may have
/// none.
pub type Hunk = Pair<Vec<String>>;

/// How the outputs of two ways differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Whose outputs these are.
    pub between: Pair<Way>,
    /// Whether every byte is the same, also behind what was kept.
    pub identical: bool,
    /// Lines that both have.
    pub equal_lines: usize,
    /// Lines that they have not, in the order of the output. Only of what was kept.
    pub hunks: Vec<Hunk>,
}

impl Difference {
    /// What there is to compare in one output of all ways that could run the command: each with
    /// the one that is shown before it. So the container is held against a VM, and one VM
    /// against the other.
    pub(crate) fn of_neighbours(
        reports: &Ways<WayReport>,
        output: fn(&WayReport) -> Cow<'_, Captured>,
    ) -> Vec<Self> {
        let ran: Vec<_> = reports
            .as_ref()
            .into_array()
            .into_iter()
            .filter(|report| report.outcome.has_run())
            .collect();
        ran.windows(2)
            .map(|neighbours| {
                let (first, second) = (neighbours[0], neighbours[1]);
                let between = Pair {
                    first: first.way,
                    second: second.way,
                };
                Self::between(between, &output(first), &output(second))
            })
            .collect()
    }

    fn between(between: Pair<Way>, first: &Captured, second: &Captured) -> Self {
        let first_lines: Vec<&str> = first.text.lines().collect();
        let second_lines: Vec<&str> = second.text.lines().collect();
        let diff = TextDiff::configure()
            .timeout(SEARCH_LIMIT)
            .diff_slices(&first_lines, &second_lines);
        let own = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        let mut equal_lines = 0;
        let mut hunks = Vec::new();
        for op in diff.ops() {
            match op.tag() {
                DiffTag::Equal => equal_lines += op.old_range().len(),
                _ => hunks.push(Hunk {
                    first: own(&first_lines[op.old_range()]),
                    second: own(&second_lines[op.new_range()]),
                }),
            }
        }
        Self {
            between,
            identical: first.sha256 == second.sha256,
            equal_lines,
            hunks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BETWEEN: Pair<Way> = Pair {
        first: Way::Container,
        second: Way::VmCold,
    };

    fn captured(text: &str) -> Captured {
        Captured {
            text: text.to_owned(),
            total_bytes: text.len() as u64,
            truncated: false,
            sha256: launch::Digest::from_bytes(text.as_bytes()),
        }
    }

    fn between(first: &str, second: &str) -> Difference {
        Difference::between(BETWEEN, &captured(first), &captured(second))
    }

    #[test]
    fn equal_outputs_have_no_hunks() {
        assert_eq!(
            between("a\nb\n", "a\nb\n"),
            Difference {
                between: BETWEEN,
                identical: true,
                equal_lines: 2,
                hunks: vec![]
            }
        );
    }

    #[test]
    fn each_stretch_of_different_lines_is_one_hunk() {
        let difference = between("6.18\n2\nsame\nx\n", "6.12\n1\nsame\n");
        assert!(!difference.identical);
        assert_eq!(difference.equal_lines, 1);
        assert_eq!(
            difference.hunks,
            [
                Hunk {
                    first: vec!["6.18".into(), "2".into()],
                    second: vec!["6.12".into(), "1".into()],
                },
                Hunk {
                    first: vec!["x".into()],
                    second: vec![],
                },
            ]
        );
    }

    #[test]
    fn a_missing_last_newline_is_a_difference_without_a_hunk() {
        let difference = between("a\n", "a");
        assert!(!difference.identical);
        assert!(difference.hunks.is_empty());
    }
}
