use std::fmt;

use super::FigureResult;
use crate::Contender;
use crate::statistics::Verdict;
use crate::units::three_digits;

/// All figures of one contender in a line: how they compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tally {
    pub(crate) contender: Contender,
    pub(crate) reference: Contender,
    /// The fewest runs that any of the figures is of.
    pub(crate) runs: usize,
    /// How many figures are held against the other's, with enough runs for a verdict.
    pub(crate) figures: usize,
    pub(crate) slower: usize,
    pub(crate) faster: usize,
    /// The least and the most of their ratios.
    pub(crate) ratios: (f64, f64),
}

/// Of each contender that is held against another, in the order in which they are shown.
pub(crate) fn tallies(figures: &[FigureResult]) -> Vec<Tally> {
    let mut tallies: Vec<Tally> = Vec::new();
    for row in figures.iter().flat_map(|result| &result.rows) {
        let Some(against) = &row.of_runs.against else {
            continue;
        };
        let Some(ratio) = against.comparison.ratio else {
            continue;
        };
        let contender = row.of_runs.contender;
        let index = tallies.iter().position(|it| it.contender == contender);
        let index = index.unwrap_or_else(|| {
            tallies.push(Tally {
                contender,
                reference: against.reference,
                runs: usize::MAX,
                figures: 0,
                slower: 0,
                faster: 0,
                ratios: (f64::INFINITY, 0.0),
            });
            tallies.len() - 1
        });
        let tally = &mut tallies[index];
        tally.runs = tally.runs.min(row.of_runs.summary.map_or(0, |it| it.count));
        if against.comparison.verdict == Verdict::TooFewPairs {
            continue;
        }
        tally.figures += 1;
        tally.slower += usize::from(against.comparison.verdict == Verdict::Slower);
        tally.faster += usize::from(against.comparison.verdict == Verdict::Faster);
        tally.ratios = (tally.ratios.0.min(ratio), tally.ratios.1.max(ratio));
    }
    tallies
}

/// What comes after "is".
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            reference,
            figures,
            slower,
            faster,
            ratios: (least, most),
            ..
        } = self;
        if *figures == 0 {
            return write!(
                f,
                "not held against the {reference}: there are too few runs"
            );
        }
        write!(f, "slower in {slower} of {figures} operations")?;
        if *faster > 0 {
            write!(f, ", faster in {faster}")?;
        }
        write!(
            f,
            ": {} to {} times the {reference}",
            three_digits(*least),
            three_digits(*most)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::tests::comparison;

    fn lines(figures: &[FigureResult]) -> Vec<String> {
        let tallies = tallies(figures);
        let line = |it: &Tally| format!("{}, {} runs: {it}", it.contender, it.runs);
        tallies.iter().map(line).collect()
    }

    #[test]
    fn all_figures_of_a_contender_are_one_line() {
        assert_eq!(
            lines(&comparison().figures),
            [
                "vm cold, 7 runs: slower in 1 of 2 operations: 1.00 to 1161 times the container",
                "vm warm, 8 runs: slower in 1 of 2 operations: 1.00 to 1171 times the container",
            ]
        );
    }

    #[test]
    fn too_few_runs_are_said_and_are_no_verdict() {
        let mut figures = comparison().figures;
        for row in figures.iter_mut().flat_map(|result| &mut result.rows) {
            if let Some(against) = &mut row.of_runs.against {
                against.comparison.verdict = Verdict::TooFewPairs;
            }
        }
        assert_eq!(
            lines(&figures)[0],
            "vm cold, 7 runs: not held against the container: there are too few runs"
        );
    }
}
