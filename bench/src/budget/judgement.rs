//! Whether figures keep a budget.

use serde::Serialize;

use super::{Bound, Budget, Limit};
use crate::ResultRow;
use crate::changes::Changes;
use crate::export::Measured;
use crate::measurand::Measurand;
use crate::statistics::Verdict;
use crate::units::three_digits;

/// A limit, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judgement<'a> {
    /// Which.
    pub limit: &'a Limit,
    /// What came of it.
    pub ruling: Ruling,
}

/// What came of a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ruling {
    /// The figure is no higher; or, against a baseline, it was not shown to be.
    Kept {
        /// The figure.
        figure: String,
    },
    /// It is higher.
    Broken {
        /// The figure.
        figure: String,
    },
    /// There is no figure. A limit that was not looked at must not pass for one that was kept.
    Unjudged {
        /// Why.
        reason: &'static str,
    },
}

impl Ruling {
    /// Whether all is well.
    pub fn is_kept(&self) -> bool {
        matches!(self, Self::Kept { .. })
    }
}

impl Judgement<'_> {
    /// The heads of a table of judgements.
    pub(crate) const HEADS: [&'static str; 6] =
        ["workload", "what", "contender", "limit", "figure", ""];

    /// What stands below them.
    pub(crate) fn row(&self) -> [String; 6] {
        let (figure, word) = match &self.ruling {
            Ruling::Kept { figure } => (figure.as_str(), "kept"),
            Ruling::Broken { figure } => (figure.as_str(), "BROKEN"),
            Ruling::Unjudged { reason } => (*reason, "NOT JUDGED"),
        };
        [
            self.limit.workload.clone(),
            self.limit.quantity.to_string(),
            self.limit.contender.to_string(),
            self.limit.bound.in_words(self.limit.quantity.measurand()),
            figure.to_owned(),
            word.to_owned(),
        ]
    }
}

impl Bound {
    fn in_words(&self, measurand: Measurand) -> String {
        match self {
            Self::P50(bound) => format!("p50 at most {}", measurand.amount(*bound)),
            Self::P90(bound) => format!("p90 at most {}", measurand.amount(*bound)),
            Self::Max(bound) => format!("max at most {}", measurand.amount(*bound)),
            Self::Ratio(bound) => format!("at most {bound} times its reference"),
            Self::Baseline(bound) => format!("at most {bound} times the baseline"),
        }
    }
}

impl Budget {
    /// What is to be said of each limit. `changes` are those since the baseline.
    pub fn judge(&self, all: &[Measured], changes: Option<&Changes>) -> Vec<Judgement<'_>> {
        let judge = |limit| Judgement {
            limit,
            ruling: ruling(limit, all, changes),
        };
        self.limits.iter().map(judge).collect()
    }
}

const TOO_FEW_RUNS: &str = "there were too few runs";

fn ruling(limit: &Limit, all: &[Measured], changes: Option<&Changes>) -> Ruling {
    let Some(row) = row(all, limit) else {
        return Ruling::Unjudged {
            reason: "it was not measured",
        };
    };
    let Some(summary) = row.summary else {
        return Ruling::Unjudged {
            reason: "every run failed",
        };
    };
    let measurand = limit.quantity.measurand();
    let against = |figure: u64, bound: u64| judged(measurand.amount(figure), figure > bound);
    let ruling = match limit.bound {
        Bound::P50(bound) => against(summary.p50, bound),
        Bound::P90(bound) => against(summary.p90, bound),
        Bound::Max(bound) => against(summary.max, bound),
        Bound::Ratio(bound) => against_reference(row, bound),
        Bound::Baseline(bound) => since_baseline(limit, bound, changes),
    };
    match ruling {
        // Those that failed might have taken more.
        Ruling::Kept { .. } if row.failures > 0 => Ruling::Unjudged {
            reason: "runs failed",
        },
        ruling => ruling,
    }
}

fn against_reference(row: &ResultRow, bound: f64) -> Ruling {
    let Some(against) = &row.against else {
        return Ruling::Unjudged {
            reason: "it was not held against another",
        };
    };
    match (against.comparison.verdict, against.comparison.ratio) {
        (Verdict::TooFewPairs, _) => Ruling::Unjudged {
            reason: TOO_FEW_RUNS,
        },
        (_, None) => Ruling::Unjudged {
            reason: "its reference took nothing",
        },
        (_, Some(ratio)) => judged(times(ratio), ratio > bound),
    }
}

/// Between two days a median moves a little by itself: the limit is broken when it is exceeded and
/// the series is shown to be slower.
fn since_baseline(limit: &Limit, bound: f64, changes: Option<&Changes>) -> Ruling {
    let mut rows = changes.iter().flat_map(|changes| &changes.rows);
    let change = rows.find(|row| {
        (&row.workload, &row.quantity, row.contender)
            == (&limit.workload, &limit.quantity, limit.contender)
    });
    let Some(change) = change else {
        return Ruling::Unjudged {
            reason: "the baseline does not have it",
        };
    };
    let measurand = limit.quantity.measurand();
    let comparison = &change.comparison;
    match (comparison.verdict, comparison.ratio) {
        (Verdict::TooFewPairs, _) => Ruling::Unjudged {
            reason: TOO_FEW_RUNS,
        },
        // It did, and still does.
        (Verdict::Equivalent, None) => judged(measurand.amount(change.after.p50), false),
        (_, None) => Ruling::Unjudged {
            reason: "the baseline took nothing",
        },
        (verdict, Some(ratio)) => judged(times(ratio), ratio > bound && verdict == Verdict::Slower),
    }
}

fn judged(figure: String, is_broken: bool) -> Ruling {
    if is_broken {
        Ruling::Broken { figure }
    } else {
        Ruling::Kept { figure }
    }
}

fn times(ratio: f64) -> String {
    format!("{} times", three_digits(ratio))
}

fn row<'a>(all: &'a [Measured], limit: &Limit) -> Option<&'a ResultRow> {
    let measured = all.iter().find(|it| it.name == limit.workload)?;
    let rows = limit.quantity.rows(&measured.comparison);
    rows.into_iter()
        .find(|row| row.contender == limit.contender)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Contender;
    use crate::export::tests::measured;

    /// What is said of one limit, `before` being the baseline.
    fn judge(limit: &str, before: Option<&[Measured]>, after: &[Measured]) -> Ruling {
        let changes = before.map(|before| Changes::between(before, after));
        let budget = Budget::parse(&format!("[[limit]]\n{limit}")).unwrap();
        let judgements = budget.judge(after, changes.as_ref());
        assert_eq!(judgements.len(), 1);
        judgements[0].ruling.clone()
    }

    fn of(contender: &str, bound: &str) -> String {
        format!("workload = \"startup\"\ncontender = \"{contender}\"\nmetric = \"main\"\n{bound}\n")
    }

    #[test]
    fn a_figure_is_held_against_its_bound() {
        let all = [measured("startup")];
        for (contender, bound, is_kept, said) in [
            ("container", "p50 = \"1s\"", true, "51.8 ms"),
            ("container", "p50 = \"50ms\"", false, "51.8 ms"),
            ("container", "p90 = \"50ms\"", false, "51.9 ms"),
            ("container", "max = \"50ms\"", false, "51.9 ms"),
            ("vm warm", "ratio = 200.0", true, "3.92 times"),
            ("vm warm", "ratio = 2.0", false, "3.92 times"),
        ] {
            let ruling = judge(&of(contender, bound), None, &all);
            let figure = said.to_owned();
            let expected = match is_kept {
                true => Ruling::Kept { figure },
                false => Ruling::Broken { figure },
            };
            assert_eq!(ruling, expected, "{contender} {bound}");
        }
    }

    #[test]
    fn what_a_workload_reports_has_limits_as_well() {
        let all = [measured("startup")];
        let limit =
            of("vm cold", "p50 = \"1ns\"").replace("metric = \"main\"", "figure = \"getppid\"");
        assert!(matches!(judge(&limit, None, &all), Ruling::Broken { .. }));
        let unknown = limit.replace("getppid", "getuid");
        assert!(matches!(
            judge(&unknown, None, &all),
            Ruling::Unjudged { .. }
        ));
    }

    #[test]
    fn what_fails_at_times_breaks_a_limit_or_is_not_judged_and_keeps_none() {
        let all = [measured("startup")];
        // One of its runs failed.
        let failed = Ruling::Unjudged {
            reason: "runs failed",
        };
        for (bound, is_broken) in [
            ("p50 = \"9s\"", false),
            ("p50 = \"1s\"", true),
            ("ratio = 200.0", false),
            ("ratio = 100.0", true),
            ("baseline = 2.0", false),
        ] {
            let ruling = judge(&of("vm cold", bound), Some(&all), &all);
            match is_broken {
                true => assert!(matches!(ruling, Ruling::Broken { .. }), "{bound}"),
                false => assert_eq!(ruling, failed, "{bound}"),
            }
        }
    }

    #[test]
    fn a_ratio_of_too_few_runs_is_not_judged() {
        let mut all = [measured("startup")];
        let rows = &mut all[0].comparison.results[0].rows;
        let vm_warm = rows.iter_mut().find(|it| it.contender == Contender::VmWarm);
        let against = vm_warm.unwrap().against.as_mut().unwrap();
        against.comparison.verdict = Verdict::TooFewPairs;
        let ruling = judge(&of("vm warm", "ratio = 1000.0"), None, &all);
        let reason = TOO_FEW_RUNS;
        assert_eq!(ruling, Ruling::Unjudged { reason });
    }

    #[test]
    fn what_took_nothing_before_and_still_does_keeps_its_baseline() {
        let nothing = || {
            let mut all = [measured("startup")];
            for sample in &mut all[0].comparison.series.as_mut().unwrap().samples {
                sample.launch_to_main_ns = sample.launch_to_main_ns.map(|_| 0);
            }
            all
        };
        let limit = of("container", "baseline = 2.0");
        assert!(judge(&limit, Some(&nothing()), &nothing()).is_kept());
        let reason = "the baseline took nothing";
        assert_eq!(
            judge(&limit, Some(&nothing()), &[measured("startup")]),
            Ruling::Unjudged { reason }
        );
    }

    #[test]
    fn what_was_not_measured_is_not_kept() {
        let all = [measured("startup")];
        for limit in [
            of("container", "ratio = 5.0"),
            of("host process", "p50 = \"9s\""),
            of("container", "p50 = \"9s\"").replace("\"main\"", "\"gone\""),
            of("container", "baseline = 2.0"),
        ] {
            let ruling = judge(&limit, None, &all);
            assert!(matches!(ruling, Ruling::Unjudged { .. }), "{ruling:?}");
            assert!(!ruling.is_kept());
        }
    }

    #[test]
    fn a_baseline_is_exceeded_only_by_what_is_shown_to_be_slower() {
        let before = [measured("startup")];
        let mut after = before.clone();
        for sample in &mut after[0].comparison.series.as_mut().unwrap().samples {
            sample.launch_to_main_ns = sample.launch_to_main_ns.map(|ns| ns * 3 / 2);
        }
        let judge = |bound| judge(&of("container", bound), Some(&before), &after);
        assert!(judge("baseline = 1.6").is_kept());
        assert!(!judge("baseline = 1.4").is_kept());
    }
}
