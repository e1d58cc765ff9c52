//! `jaula bench diff`: what changed from one result to another.

use bench::budget::Judgement;
use bench::changes::Changes;
use bench::{html, table};
use serde::Serialize;

use super::{limits, results};
use crate::args::DiffArgs;
use crate::compare::Page;
use crate::error::Error;
use crate::output;

/// Prints what changed; the exit code is 1 when a limit is broken.
pub fn diff(args: &DiffArgs) -> Result<u8, Error> {
    let before = results::read(&args.before)?;
    let after = results::read(&args.after)?;
    let workloads: Vec<_> = after.iter().map(|it| it.name.as_str()).collect();
    let budget = limits::read(&args.limits, &workloads, true)?;
    let page = args.html.as_deref().map(Page::open).transpose()?;
    let changes = Changes::between(&before, &after);
    let judgements = budget.as_ref().map(|it| it.judge(&after, Some(&changes)));
    if args.json {
        let document = Document {
            changes: &changes,
            budget: judgements.as_deref(),
        };
        let json = serde_json::to_string_pretty(&document).map_err(launch::Error::new)?;
        output::print(&json)?;
    } else {
        let width = output::width();
        let mut parts = vec![table::changes(&changes, width)];
        parts.extend(judgements.as_ref().map(|it| table::judgements(it, width)));
        output::print(&parts.join("\n\n"))?;
    }
    if let Some(page) = page {
        page.write(&html::render_changes(&changes, judgements.as_deref()))?;
    }
    Ok(match judgements {
        Some(judgements) if !limits::are_kept(&judgements) => limits::BROKEN,
        _ => 0,
    })
}

#[derive(Serialize)]
struct Document<'a> {
    changes: &'a Changes,
    /// Only if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<&'a [Judgement<'a>]>,
}
