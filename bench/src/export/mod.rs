//! Results as files that other programs read: every sample, summaries, tables.

mod csv;
mod hyperfine;
mod kept;
mod load;
mod markdown;
mod plain;
mod samples;
mod summary;

pub use csv::csv;
pub use hyperfine::hyperfine;
pub use kept::{KeptError, kept, read_kept};
pub use load::{concurrency_csv, density_csv, elasticity_csv};
pub use markdown::{markdown, markdown_of_changes, markdown_of_judgements, markdown_of_unmeasured};
pub use samples::samples;
pub use summary::summary;

use serde::{Deserialize, Serialize};

use crate::Comparison;

/// A workload of a suite, measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The workload's name.
    pub name: String,
    /// What it is for, in a sentence.
    pub about: String,
    /// What one would type after `jaula compare`.
    pub words: Vec<String>,
    /// What came of it.
    pub comparison: Comparison,
}

/// A workload of a suite that could not be measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmeasured {
    /// The workload's name.
    pub name: String,
    /// Why, with what can be done about it, in one line.
    pub reason: String,
}

#[cfg(test)]
mod formats;
#[cfg(test)]
pub(crate) mod tests;
