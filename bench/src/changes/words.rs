//! What changed, in words.

use super::{Change, Changes};
use crate::statistics::Verdict;
use crate::units::p_value;

impl Changes {
    /// The heads of a table of changes.
    pub(crate) const HEADS: [&str; 8] = [
        "workload",
        "what",
        "contender",
        "runs",
        "before",
        "after",
        "change",
        "verdict",
    ];

    /// How the figures came about.
    pub(crate) const METHOD: &str = "Medians, with the 95 % bootstrap interval of their difference. \
        The two were measured at different times: whatever else changed on the host meanwhile is \
        part of it.";

    /// How many figures there are, and how many of them were shown to have changed which way.
    pub(crate) fn in_short(&self) -> String {
        let count = |verdict| {
            let rows = self.rows.iter();
            rows.filter(|it| it.comparison.verdict == verdict).count()
        };
        format!(
            "Of {} figures {} got better, {} got worse and {} stayed the same; {} were not shown to differ, \
             and {} had too few runs.",
            self.rows.len(),
            count(Verdict::Faster),
            count(Verdict::Slower),
            count(Verdict::Equivalent),
            count(Verdict::Inconclusive),
            count(Verdict::TooFewPairs),
        )
    }

    /// What must be known to read the figures.
    pub(crate) fn notes(&self) -> impl Iterator<Item = &String> {
        self.left_out.iter().chain(&self.circumstances)
    }
}

impl Change {
    /// What stands below [`Changes::HEADS`].
    pub(crate) fn row(&self) -> [String; 8] {
        let comparison = &self.comparison;
        let measurand = self.quantity.measurand();
        let middle = measurand.difference(comparison.difference);
        let change = match comparison.verdict {
            Verdict::TooFewPairs => middle,
            _ => format!(
                "{middle} ({} to {}), {}",
                measurand.difference(comparison.interval.low),
                measurand.difference(comparison.interval.high),
                p_value(comparison.p),
            ),
        };
        [
            self.workload.clone(),
            self.quantity.to_string(),
            self.contender.to_string(),
            runs(self.before.count, self.failures[0])
                + " and "
                + &runs(self.after.count, self.failures[1]),
            measurand.amount(self.before.p50),
            measurand.amount(self.after.p50),
            change,
            measurand.in_words(comparison.verdict, comparison.ratio),
        ]
    }
}

fn runs(good: usize, failures: usize) -> String {
    match failures {
        0 => good.to_string(),
        _ => format!("{good} ({failures} failed)"),
    }
}
