//! What a budget says of results.

use std::io;
use std::path::{Path, PathBuf};

use bench::budget::{Budget, BudgetError, Judgement};

use super::bounded;
use crate::args::LimitArgs;

/// Why there is nothing to judge by.
#[derive(Debug, thiserror::Error)]
enum LimitsError {
    #[error("can't read the budget {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is no budget for this", path.display())]
    Budget { path: PathBuf, source: BudgetError },
}

/// The code that a broken limit ends with: what tests end with, not what jaula's own failures do.
pub const BROKEN: u8 = 1;

/// Reads the budget that is asked for, for these workloads.
pub fn read(
    args: &LimitArgs,
    workloads: &[&str],
    has_baseline: bool,
) -> Result<Option<Budget>, launch::Error> {
    let read = |path: &PathBuf| parse(path, workloads, has_baseline).map_err(launch::Error::new);
    args.budget.as_ref().map(read).transpose()
}

fn parse(path: &Path, workloads: &[&str], has_baseline: bool) -> Result<Budget, LimitsError> {
    let text = bounded::read_text(path).map_err(|source| LimitsError::Read {
        path: path.into(),
        source,
    })?;
    let checked = Budget::parse(&text).and_then(|budget| {
        budget.check(workloads, has_baseline)?;
        Ok(budget)
    });
    checked.map_err(|source| LimitsError::Budget {
        path: path.into(),
        source,
    })
}

/// Whether none is broken, and none could not be judged.
pub fn are_kept(judgements: &[Judgement<'_>]) -> bool {
    judgements.iter().all(|it| it.ruling.is_kept())
}
