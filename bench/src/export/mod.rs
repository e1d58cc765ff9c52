//! Results as files that other programs read: every sample, summaries, tables.

mod csv;
mod hyperfine;
mod load;
mod markdown;
mod samples;
mod summary;

pub use csv::csv;
pub use hyperfine::hyperfine;
pub use load::{concurrency_csv, density_csv, elasticity_csv};
pub use markdown::{markdown, markdown_of_changes, markdown_of_judgements};
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
    /// What came of it.
    pub comparison: Comparison,
}

#[cfg(test)]
mod formats;
#[cfg(test)]
pub(crate) mod tests;
