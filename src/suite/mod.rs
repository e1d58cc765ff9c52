//! `jaula bench`: a suite of workloads, each compared, and what is kept of it.

mod bounded;
mod diff;
mod limits;
mod results;

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use bench::Interrupt;
use bench::changes::Changes;
use bench::export::{self, Measured, Unmeasured};
use bench::html::SuitePage;
use bench::suite::{Suite, SuiteError, SuiteWorkload};
use launch::ExitStatus;

use crate::args::{BenchAction, BenchArgs, CompareArgs};
use crate::compare::{self, Before};
use crate::error::{self, Error};
use crate::interruption::{Interruption, Wish};
use crate::signals::Signals;
use crate::usage::{self, Refused};
use crate::{output, progress};
use results::Results;

/// Why there is nothing to measure.
#[derive(Debug, thiserror::Error)]
enum BenchError {
    #[error("can't read the suite {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is no suite", path.display())]
    Suite { path: PathBuf, source: SuiteError },
    #[error("workload {name} can't be measured")]
    Workload { name: String, source: Refused },
    #[error("workload {name} can't be measured: {reason}")]
    Flags { name: String, reason: &'static str },
    #[error("no workload of the suite takes part in a quick run")]
    NothingQuick,
    #[error("the built-in suite is broken")]
    BuiltIn(#[from] SuiteError),
}

/// Measures and writes; the exit code is 0 when each workload has run each way, and no limit is
/// broken.
pub fn bench(args: &BenchArgs) -> Result<u8, Error> {
    if let Some(BenchAction::Diff(args)) = &args.action {
        return diff::diff(args);
    }
    let workloads = workloads(args).map_err(launch::Error::new)?;
    let baseline = args.baseline.as_deref().map(results::read).transpose()?;
    let names: Vec<_> = workloads.iter().map(|it| it.0.name.as_str()).collect();
    let budget = limits::read(&args.limits, &names, baseline.is_some())?;
    let results = Results::open(&args.out, args.resume)?;
    let signals = Signals::hold()?;
    let progress = progress::on_stderr();
    let interruption = Interruption::default();
    let mut all: Vec<Measured> = Vec::new();
    let mut unmeasured: Vec<Unmeasured> = Vec::new();
    let before = Before::default();
    let mut earlier = results.earlier(workloads.iter().map(|it| &it.0))?;
    for (workload, compare) in &workloads {
        if let Some(measured) = earlier.remove(&workload.name) {
            progress.note(&format!("{} was measured before", workload.name));
            all.push(measured);
            continue;
        }
        progress.note(&format!(
            "{} ({} of {})",
            workload.name,
            all.len() + unmeasured.len() + 1,
            workloads.len()
        ));
        let interrupt = Interrupt::default();
        let wish = if all.is_empty() {
            Wish::End
        } else {
            Wish::Report
        };
        let comparison = signals.during(
            |signal| compare::call_off(signal, &interrupt, &interruption, wish),
            || compare::measure(compare, None, &before, progress.as_ref(), &interrupt),
        )?;
        match comparison {
            Ok(comparison) => {
                let measured = Measured {
                    name: workload.name.clone(),
                    about: workload.about.clone(),
                    words: workload.words(),
                    comparison,
                };
                if interruption.check().is_ok() {
                    results.keep(&measured)?;
                }
                all.push(measured);
            }
            Err(_) if interruption.check().is_err() => {}
            // The others can still be measured.
            Err(error) => {
                error::print(&error);
                unmeasured.push(Unmeasured {
                    name: workload.name.clone(),
                    reason: error::one_line(&error),
                });
            }
        }
        if interruption.check().is_err() {
            break;
        }
    }
    let changes = baseline.map(|baseline| Changes::between(&baseline, &all));
    let judgements = budget.as_ref().map(|it| it.judge(&all, changes.as_ref()));
    let mut report = vec![export::markdown(&all)];
    if !unmeasured.is_empty() {
        report.push(export::markdown_of_unmeasured(&unmeasured));
    }
    report.extend(changes.as_ref().map(export::markdown_of_changes));
    report.extend(judgements.as_deref().map(export::markdown_of_judgements));
    let report = report.iter().map(|part| part.trim_end());
    let report = report.collect::<Vec<_>>().join("\n\n") + "\n";
    let page = {
        let suite = SuitePage {
            all: &all,
            unmeasured: &unmeasured,
            changes: changes.as_ref(),
            judgements: judgements.as_deref(),
        };
        results.write(suite, &report)?
    };
    output::print(&report)?;
    if let Some(page) = page {
        progress.note(&format!("the report is {}", page.display()));
    }
    // What there is was written.
    interruption.check()?;
    Ok(match judgements {
        _ if !unmeasured.is_empty() || !all.iter().all(has_run_each_way) => {
            ExitStatus::LAUNCHER_FAILED
        }
        Some(judgements) if !limits::are_kept(&judgements) => limits::BROKEN,
        _ => 0,
    })
}

fn has_run_each_way(measured: &Measured) -> bool {
    compare::exit_code(&measured.comparison) == 0
}

/// Each with the flags of its comparison: one that can't be understood is known before hours of
/// measuring.
fn workloads(args: &BenchArgs) -> Result<Vec<(SuiteWorkload, CompareArgs)>, BenchError> {
    let suite = match &args.suite {
        None => Suite::built_in()?,
        Some(path) => {
            let text = bounded::read_text(path).map_err(|source| BenchError::Read {
                path: path.clone(),
                source,
            })?;
            Suite::parse(&text).map_err(|source| BenchError::Suite {
                path: path.clone(),
                source,
            })?
        }
    };
    let suite = if args.quick { suite.quick() } else { suite };
    if suite.workload.is_empty() {
        return Err(BenchError::NothingQuick);
    }
    suite.workload.into_iter().map(with_args).collect()
}

fn with_args(workload: SuiteWorkload) -> Result<(SuiteWorkload, CompareArgs), BenchError> {
    let reason = match CompareArgs::of_words(workload.words()) {
        Ok(args) => match unmeant(&workload, &args) {
            None => return Ok((workload, args)),
            Some(reason) => reason,
        },
        Err(error) if usage::is_answer(&error) => "help is asked for in place of it",
        Err(error) => {
            return Err(BenchError::Workload {
                name: workload.name,
                source: Refused::new(&error, &["jaula".into(), "compare".into()]),
            });
        }
    };
    let name = workload.name;
    Err(BenchError::Flags { name, reason })
}

/// What its words make of it that nobody can have meant.
fn unmeant(workload: &SuiteWorkload, args: &CompareArgs) -> Option<&'static str> {
    let rootfs = args.workload.rootfs.as_deref();
    let is_what_runs = rootfs == workload.rootfs.as_deref().map(Path::new)
        && (workload.behind_the_flags().map(OsStr::new)).eq(args.workload.words())
        && !workload.flags.iter().any(|flag| flag == "--");
    if !is_what_runs {
        Some("its flags say something of what runs, or its image is a flag")
    } else if args.json || args.html.is_some() {
        Some("--json and --html are no flags of a suite's, which writes both into --out")
    } else if args.workload.process.interactive {
        Some("--interactive is no flag of a suite's, whose commands have no input")
    } else {
        None
    }
}
