use std::time::Duration;

use serde::{Deserialize, Serialize};
use similar::{DiffTag, TextDiff};

use crate::{Captured, Sides};

/// Longest search for the smallest difference. Hostile outputs take time that is quadratic in
/// their length; after this the difference found is still right, though not the smallest.
const SEARCH_LIMIT: Duration = Duration::from_secs(2);

/// Lines that stand at the same place in both outputs and are not the same. One side may have
/// none.
pub type Hunk = Sides<Vec<String>>;

/// How the outputs of the two sides differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Whether every byte is the same, also behind what was kept.
    pub identical: bool,
    /// Lines that both sides have.
    pub equal_lines: usize,
    /// Lines that they have not, in the order of the output. Only of what was kept.
    pub hunks: Vec<Hunk>,
}

impl Difference {
    pub(crate) fn between(outputs: Sides<&Captured>) -> Self {
        let lines: Sides<Vec<&str>> = outputs.map(|output| output.text.lines().collect());
        let diff = TextDiff::configure()
            .timeout(SEARCH_LIMIT)
            .diff_slices(&lines.container, &lines.vm);
        let own = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        let mut equal_lines = 0;
        let mut hunks = Vec::new();
        for op in diff.ops() {
            match op.tag() {
                DiffTag::Equal => equal_lines += op.old_range().len(),
                _ => hunks.push(Hunk {
                    container: own(&lines.container[op.old_range()]),
                    vm: own(&lines.vm[op.new_range()]),
                }),
            }
        }
        Self {
            identical: outputs.container.sha256 == outputs.vm.sha256,
            equal_lines,
            hunks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(text: &str) -> Captured {
        Captured {
            text: text.to_owned(),
            total_bytes: text.len() as u64,
            truncated: false,
            sha256: launch::Digest::from_bytes(text.as_bytes()),
        }
    }

    fn between(container: &str, vm: &str) -> Difference {
        Difference::between(Sides {
            container: &captured(container),
            vm: &captured(vm),
        })
    }

    #[test]
    fn equal_outputs_have_no_hunks() {
        assert_eq!(
            between("a\nb\n", "a\nb\n"),
            Difference {
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
                    container: vec!["6.18".into(), "2".into()],
                    vm: vec!["6.12".into(), "1".into()],
                },
                Hunk {
                    container: vec!["x".into()],
                    vm: vec![],
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
