//! What came of a budget, as text.

use super::{finish, table, visible};
use crate::budget::Judgement;

/// A row for each limit.
pub fn judgements(judgements: &[Judgement<'_>], width: u16) -> String {
    let mut table = table(width);
    table.set_header(Judgement::HEADS);
    for judgement in judgements {
        table.add_row(judgement.row().map(|cell| visible(&cell)));
    }
    finish(&table)
}
