//! Budgets: what figures may not exceed, as a user writes it down in TOML, and whether they do.

mod judgement;

use serde::{Deserialize, Serialize};

pub use judgement::{Judgement, Ruling};

use crate::measurand::InvalidAmount;
use crate::toml_text::{self, TomlError};
use crate::{Contender, Quantity, UnknownContender, UnknownMetric};

/// What may not be exceeded.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    limits: Vec<Limit>,
}

/// One figure, and how high it may be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Limit {
    /// The workload's name.
    pub workload: String,
    /// Whose figure.
    pub contender: Contender,
    /// Of what.
    pub quantity: Quantity,
    /// How high.
    pub bound: Bound,
}

/// How high a figure may be, in nanoseconds or, of memory, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The median.
    P50(u64),
    /// What nine in ten runs do not exceed.
    P90(u64),
    /// The most.
    Max(u64),
    /// The median, in times that of what it is held against, measured in turns.
    Ratio(f64),
    /// The median, in times that of the baseline.
    Baseline(f64),
}

/// What a user wrote is no budget, or not one for what is measured.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BudgetError {
    /// It can't be read.
    #[error(transparent)]
    Toml(#[from] TomlError),
    /// A limit names someone who never takes part.
    #[error("limit {number} is about no one")]
    Contender {
        /// Which, from 1.
        number: usize,
        /// Why.
        source: UnknownContender,
    },
    /// A limit names what is not measured.
    #[error("limit {number} is about nothing")]
    Metric {
        /// Which, from 1.
        number: usize,
        /// Why.
        source: UnknownMetric,
    },
    /// A limit is not in the unit of what it is about.
    #[error("limit {number} is no {}", source.what)]
    Amount {
        /// Which, from 1.
        number: usize,
        /// Why.
        source: InvalidAmount,
    },
    /// A limit is about one thing.
    #[error("limit {0} needs one of metric, figure, cpu_of")]
    Quantity(usize),
    /// A limit that nothing can exceed is a mistake.
    #[error("limit {0} has none of p50, p90, max, ratio, baseline")]
    Boundless(usize),
    /// What it is to be multiplied with makes no sense.
    #[error("limit {0}: ratio and baseline must be numbers above zero")]
    Factor(usize),
    /// There is nothing to be judged.
    #[error("there is no limit")]
    Empty,
    /// The workload is not among those measured.
    #[error("there is a limit for {0}, which is not measured")]
    Workload(String),
    /// There is nothing that it could be held against.
    #[error("the limit for {0} is about a baseline, and there is none")]
    NoBaseline(String),
}

impl Budget {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// When it is none, and where.
    pub fn parse(text: &str) -> Result<Self, BudgetError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            limit: Vec<WrittenLimit>,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct WrittenLimit {
            workload: String,
            contender: String,
            metric: Option<String>,
            figure: Option<String>,
            cpu_of: Option<String>,
            p50: Option<String>,
            p90: Option<String>,
            max: Option<String>,
            ratio: Option<f64>,
            baseline: Option<f64>,
        }
        let written: Written = toml_text::parse(text)?;
        let mut limits = Vec::new();
        for (number, limit) in (1..).zip(written.limit) {
            let contender = limit.contender.parse();
            let contender =
                contender.map_err(|source| BudgetError::Contender { number, source })?;
            let quantity = match (limit.metric, limit.figure, limit.cpu_of) {
                (Some(word), None, None) => {
                    let metric = word.parse();
                    let error = |source| BudgetError::Metric { number, source };
                    Quantity::Metric(metric.map_err(error)?)
                }
                (None, Some(name), None) => Quantity::Figure(name),
                (None, None, Some(name)) => Quantity::CpuOfFigure(name),
                _ => return Err(BudgetError::Quantity(number)),
            };
            let factors = [limit.ratio, limit.baseline];
            // Also what is no number.
            let is_factor = |it: f64| it > 0.0 && it.is_finite();
            if !factors.into_iter().flatten().all(is_factor) {
                return Err(BudgetError::Factor(number));
            }
            let amount = |typed: Option<String>| {
                let amount = typed.map(|it| quantity.measurand().typed(&it));
                amount
                    .transpose()
                    .map_err(|source| BudgetError::Amount { number, source })
            };
            let bounds = [
                amount(limit.p50)?.map(Bound::P50),
                amount(limit.p90)?.map(Bound::P90),
                amount(limit.max)?.map(Bound::Max),
                limit.ratio.map(Bound::Ratio),
                limit.baseline.map(Bound::Baseline),
            ];
            let before = limits.len();
            limits.extend(bounds.into_iter().flatten().map(|bound| Limit {
                workload: limit.workload.clone(),
                contender,
                quantity: quantity.clone(),
                bound,
            }));
            if limits.len() == before {
                return Err(BudgetError::Boundless(number));
            }
        }
        match limits.is_empty() {
            true => Err(BudgetError::Empty),
            false => Ok(Self { limits }),
        }
    }

    /// Whether it is one for these workloads: known before hours of measuring.
    ///
    /// # Errors
    ///
    /// When it has a limit that could not be judged.
    pub fn check(&self, workloads: &[&str], has_baseline: bool) -> Result<(), BudgetError> {
        for limit in &self.limits {
            let name = &limit.workload;
            if !workloads.contains(&name.as_str()) {
                return Err(BudgetError::Workload(name.clone()));
            }
            if matches!(limit.bound, Bound::Baseline(_)) && !has_baseline {
                return Err(BudgetError::NoBaseline(name.clone()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Metric;

    const LIMIT: &str =
        "[[limit]]\nworkload = \"startup\"\ncontender = \"vm cold\"\nmetric = \"main\"\n";

    #[test]
    fn each_bound_of_a_limit_is_one() {
        let budget = Budget::parse(&format!("{LIMIT}p50 = \"1s 500ms\"\nratio = 3.5\n")).unwrap();
        let limit = |bound| Limit {
            workload: "startup".into(),
            contender: Contender::VmCold,
            quantity: Quantity::Metric(Metric::Main),
            bound,
        };
        assert_eq!(
            budget.limits,
            [limit(Bound::P50(1_500_000_000)), limit(Bound::Ratio(3.5))]
        );
    }

    #[test]
    fn a_limit_is_about_a_metric_a_figure_or_the_processor_time_of_one() {
        let about = |key: &str| {
            let text = format!("{LIMIT}p50 = \"1s\"").replace("metric = \"main\"", key);
            Budget::parse(&text).unwrap().limits[0].quantity.clone()
        };
        let of = |name: &str| name.to_owned();
        assert_eq!(
            about("figure = \"getppid\""),
            Quantity::Figure(of("getppid"))
        );
        assert_eq!(
            about("cpu_of = \"getppid\""),
            Quantity::CpuOfFigure(of("getppid"))
        );
    }

    #[test]
    fn what_is_no_budget_is_refused_with_its_place() {
        for (text, expected) in [
            ("", "line 1: missing field `limit`"),
            ("limit = []", "there is no limit"),
            (LIMIT, "limit 1 has none of p50"),
            (
                &format!("{LIMIT}p95 = \"1s\""),
                "line 5: unknown field `p95`",
            ),
            (
                &format!("{LIMIT}p50 = \"1 parsec\""),
                "limit 1 is no stretch of time",
            ),
            (
                &format!("{LIMIT}p50 = \"1s\"").replace("\"main\"", "\"memory\""),
                "limit 1 is no number of bytes",
            ),
            (
                &format!("{LIMIT}ratio = 0.0"),
                "limit 1: ratio and baseline",
            ),
            (
                &format!("{LIMIT}ratio = inf"),
                "limit 1: ratio and baseline",
            ),
            (
                &format!("{LIMIT}ratio = nan"),
                "limit 1: ratio and baseline",
            ),
            (
                &format!("{LIMIT}p50 = \"1s\"\n").replace("vm cold", "vm lukewarm"),
                "limit 1 is about no one",
            ),
            (
                &format!("{LIMIT}p50 = \"1s\"\n").replace("\"main\"", "\"speed\""),
                "limit 1 is about nothing",
            ),
            (
                &format!("{LIMIT}figure = \"getppid\"\np50 = \"1s\""),
                "limit 1 needs one of metric, figure, cpu_of",
            ),
        ] {
            let error = Budget::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn a_limit_that_can_not_be_judged_is_known_before() {
        let budget = Budget::parse(&format!("{LIMIT}baseline = 1.1")).unwrap();
        assert_eq!(budget.check(&["startup"], true), Ok(()));
        assert_eq!(
            budget.check(&["startup"], false),
            Err(BudgetError::NoBaseline("startup".into()))
        );
        assert_eq!(
            budget.check(&["hash"], true),
            Err(BudgetError::Workload("startup".into()))
        );
    }
}
