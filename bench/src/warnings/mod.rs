//! The mistakes that published comparisons make, and which of them a report may share.

mod mistake;
mod raise;

use serde::{Deserialize, Serialize};

pub use mistake::{MISTAKES, Mistake};
pub(crate) use raise::raised;

/// A mistake that the reader of a report should think of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Which: `W01` to `W16`.
    pub id: String,
    /// Why it was raised, and what to do about it, in one line.
    pub detail: String,
}

#[cfg(test)]
mod tests;
