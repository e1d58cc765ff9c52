use rand::SeedableRng;
use serde::{Deserialize, Serialize};

use super::Figure;
use super::distribution::pooled;
use crate::results::row;
use crate::statistics::{Random, Summary, whole_median};
use crate::{Contender, ResultRow, Sample, Series, WayReport, Ways};

/// What a series says of one figure that the workload reports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FigureResult {
    /// Its name.
    pub figure: String,
    /// Of each contender, in the order in which they are shown.
    pub rows: Vec<FigureRow>,
}

impl FigureResult {
    /// How many bytes one operation moves: its name has them in KiB, as `read-128k-first` has.
    pub(crate) fn bytes(&self) -> Option<u64> {
        let words = self.figure.split('-');
        let mut sizes = words.filter_map(|word| word.strip_suffix('k')?.parse::<u64>().ok());
        sizes.next()?.checked_mul(1024)
    }
}

/// What a series says of one figure of one contender.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FigureRow {
    /// A run counts with the median that it reported.
    #[serde(flatten)]
    pub of_runs: ResultRow,
    /// The median of the 99th percentiles that runs reported; `None` if none did.
    pub p99_ns: Option<u64>,
    /// Values from the least to the most with as many of all between any two, of all runs together;
    /// none if no run told them.
    #[serde(default)]
    pub quantiles_ns: Vec<u64>,
    /// The processor time of one operation, of which a run counts with what was used for all of them;
    /// `None` if no run has it.
    pub cpu: Option<ResultRow>,
}

/// What follows from a series of these contenders, figure by figure.
pub(crate) fn of_series(series: &Series, contenders: &[Contender]) -> Vec<FigureResult> {
    let mut random = Random::seed_from_u64(series.seed);
    let mut of_runs = |contender, value: &dyn Fn(&Sample) -> Option<u64>| {
        row(series, contender, value, &mut random)
    };
    let mut of_contender = |name: &str, contender| FigureRow {
        of_runs: of_runs(contender, &|sample| Some(sample.figure(name)?.p50_ns)),
        cpu: Some(of_runs(contender, &|sample| sample.figure(name)?.cpu_ns))
            .filter(|row| row.summary.is_some()),
        p99_ns: {
            let timed = series.timed(contender);
            let p99s = timed.filter_map(|sample| sample.figure(name)?.p99_ns);
            whole_median(&p99s.collect::<Vec<_>>())
        },
        quantiles_ns: pooled(
            series
                .timed(contender)
                .filter_map(|sample| Some(&sample.figure(name)?.quantiles_ns[..])),
        ),
    };
    let timed = contenders.iter().flat_map(|&it| series.timed(it));
    let reported = timed.flat_map(|sample| sample.reported.iter().flat_map(|it| &it.figures));
    names(reported)
        .into_iter()
        .map(|name| FigureResult {
            rows: contenders
                .iter()
                .map(|&contender| of_contender(&name, contender))
                .collect(),
            figure: name,
        })
        .collect()
}

/// Where nothing was timed: what the runs say that were checked, with no verdict.
pub(crate) fn of_checked(ways: &Ways<WayReport>) -> Vec<FigureResult> {
    let reports = ways.as_ref().into_array();
    let all = reports.iter().flat_map(|report| &report.reported);
    let names = names(all.flat_map(|reported| &reported.figures));
    let row = |report: &WayReport, name: &str| {
        let figure = report.reported.as_ref()?.figure(name)?;
        let of_one = |value| ResultRow {
            contender: report.way.into(),
            summary: Summary::of(&[value]),
            failures: 0,
            against: None,
        };
        Some(FigureRow {
            of_runs: of_one(figure.p50_ns),
            cpu: figure.cpu_ns.map(of_one),
            p99_ns: figure.p99_ns,
            quantiles_ns: pooled([&figure.quantiles_ns[..]].into_iter()),
        })
    };
    names
        .into_iter()
        .map(|name| FigureResult {
            rows: reports
                .iter()
                .filter_map(|report| row(report, &name))
                .collect(),
            figure: name,
        })
        .collect()
}

/// Each once, in the order in which they come.
fn names<'a>(figures: impl Iterator<Item = &'a Figure>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for figure in figures {
        if !names.contains(&figure.name) {
            names.push(figure.name.clone());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use crate::html::tests::comparison;
    use crate::statistics::Verdict;
    use crate::{Contender, reported};

    #[test]
    fn what_an_operation_moves_is_in_its_name() {
        for (name, bytes) in [
            ("read-128k-first", Some(128 << 10)),
            ("tcp-256k", Some(256 << 10)),
            ("getppid", None),
            ("k", None),
            ("-99999999999999999999k", None),
        ] {
            let figure = name.to_owned();
            let rows = Vec::new();
            assert_eq!(
                reported::FigureResult { figure, rows }.bytes(),
                bytes,
                "{name}"
            );
        }
    }

    #[test]
    fn the_processor_time_of_an_operation_has_a_verdict_of_its_own() {
        let mut comparison = comparison();
        let series = comparison.series.as_mut().unwrap();
        for sample in &mut series.samples {
            // Of the one it is not known, and the others are alike by the clock.
            for figure in &mut sample.reported.as_mut().unwrap().figures {
                figure.p50_ns = 500;
                figure.cpu_ns = match sample.contender {
                    Contender::Container => Some(700),
                    Contender::VmCold => Some(9_000),
                    _ => None,
                };
            }
        }
        let ways = [Contender::Container, Contender::VmCold, Contender::VmWarm];
        let results = reported::of_series(series, &ways);
        let [container, vm_cold, vm_warm] = &results[0].rows[..] else {
            panic!("{results:?}");
        };
        let verdict = |row: &crate::ResultRow| row.against.as_ref().unwrap().comparison.verdict;
        assert_eq!(container.cpu.as_ref().unwrap().summary.unwrap().p50, 700);
        assert_eq!(verdict(&vm_cold.of_runs), Verdict::Equivalent);
        assert_eq!(verdict(vm_cold.cpu.as_ref().unwrap()), Verdict::Slower);
        assert_eq!(vm_warm.cpu, None);
    }
}
