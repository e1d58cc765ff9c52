use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::sampling::Values;

/// The first line: which form this is in. It is out before anything is measured, so that whoever
/// reads it can hold [`Report::end`] against a clock of his own.
const FIRST_LINE: &str = "jaula-figures 2\n";

/// From so many values on, the 99th percentile is one that some lie above.
const TAIL_FROM: usize = 300;

/// So many quantiles are told, from the least value to the most; of fewer values, all.
const MOST_QUANTILES: usize = 41;

/// It all takes no less: over a few milliseconds, whoever holds this clock against his own would see
/// little but what the lines take on their way.
const SHORTEST: Duration = Duration::from_millis(250);

/// What goes to standard output: a line for each figure, and one that says how long it all took.
#[derive(Debug)]
pub(crate) struct Report {
    began: Instant,
    names: BTreeSet<&'static str>,
    lines: String,
}

impl Report {
    /// Writes the first line.
    pub(crate) fn begin() -> Result<Self, Failure> {
        put(FIRST_LINE)?;
        Ok(Self::empty())
    }

    fn empty() -> Self {
        Self {
            began: Instant::now(),
            names: BTreeSet::new(),
            lines: String::new(),
        }
    }

    /// Adds a figure: `batch` operations are in each of `values`. A name counts once: the job that
    /// has it may have been asked for twice.
    pub(crate) fn add(&mut self, name: &'static str, batch: u32, values: Values) {
        let mut values = values.into_nanoseconds();
        if values.is_empty() || !self.names.insert(name) {
            return;
        }
        values.sort_unstable();
        let of_one = |ns: u64| (ns + u64::from(batch) / 2) / u64::from(batch);
        let at = |share: f64| {
            let rank = (share * values.len() as f64).ceil() as usize;
            of_one(values[rank.clamp(1, values.len()) - 1])
        };
        // Writing to a string does not fail.
        let _ = write!(
            self.lines,
            "{name} values={} batch={batch} p50_ns={}",
            values.len(),
            at(0.5)
        );
        if values.len() >= TAIL_FROM {
            let _ = write!(self.lines, " p99_ns={}", at(0.99));
        }
        let count = values.len().min(MOST_QUANTILES);
        if let Some(last) = count.checked_sub(1).filter(|last| *last > 0) {
            let index = |step: usize| (step * (values.len() - 1) + last / 2) / last;
            let quantile = |step: usize| of_one(values[index(step)]).to_string();
            let quantiles: Vec<_> = (0..count).map(quantile).collect();
            let _ = write!(self.lines, " quantiles_ns={}", quantiles.join(","));
        }
        // Whoever reads it may know what the host gave meanwhile.
        let until_ns = self.began.elapsed().as_nanos();
        let _ = write!(self.lines, " until_ns={until_ns}");
        self.lines.push('\n');
    }

    /// Writes all in one piece.
    pub(crate) fn end(self) -> Result<(), Failure> {
        thread::sleep(SHORTEST.saturating_sub(self.began.elapsed()));
        let took_ns = self.began.elapsed().as_nanos();
        put(&format!("{}end took_ns={took_ns}\n", self.lines))
    }
}

fn put(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(Failure::of("write to standard output"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_of_one_operation_and_has_a_tail_only_if_there_are_many_values() {
        let of_many: Vec<_> = (0..=40)
            .map(|step| (1 + (step * 299 + 20) / 40).to_string())
            .collect();
        let of_many = of_many.join(",");
        let mut report = Report::empty();
        report.add("few", 10, Values::from((1..=9).map(|n| n * 10)));
        report.add("many", 1, Values::from(1..=300));
        report.add("many", 1, Values::from(1..=2));
        report.add("one", 1, Values::from(7..=7));
        report.add("none", 1, Values::from(0..0));
        let lines = report.lines.lines();
        let (lines, until): (Vec<_>, Vec<_>) = lines
            .filter_map(|line| line.split_once(" until_ns="))
            .unzip();
        assert_eq!(
            lines,
            [
                "few values=9 batch=10 p50_ns=5 quantiles_ns=1,2,3,4,5,6,7,8,9",
                &format!("many values=300 batch=1 p50_ns=150 p99_ns=297 quantiles_ns={of_many}"),
                "one values=1 batch=1 p50_ns=7",
            ]
        );
        let until: Vec<u64> = until.iter().flat_map(|it| it.parse()).collect();
        assert!(until.len() == 3 && until.is_sorted(), "{until:?}");
    }
}
