//! What can be said of samples, and with what right.
//!
//! [`PairedComparison`] holds one series against another and ends in a [`Verdict`],
//! [`UnpairedComparison`] likewise where they were measured at different times. What it rests on
//! are rooms of their own: [`quantile`] and [`median`], the [`bootstrap`] of a median, the
//! [`mann_whitney`] test, and [`theil_sen`] for slopes. Nothing here assumes that times are
//! distributed normally: they are not.
//!
//! All that is random takes its numbers from a generator that the caller seeds, so that the same
//! samples and the same seed give the same report.

pub mod bootstrap;
pub mod mann_whitney;
mod median;
mod normal;
mod paired;
mod quantile;
mod summary;
pub mod theil_sen;
mod unpaired;
mod verdict;

use serde::{Deserialize, Serialize};

pub use median::{median, whole_median};
pub use paired::PairedComparison;
pub use quantile::quantile;
pub use summary::{Summary, TAIL_FROM};
pub use unpaired::UnpairedComparison;
pub use verdict::{Evidence, MARGIN, MIN_PAIRS, SIGNIFICANCE, Verdict};

/// How sure an interval is: it holds the true value in this share of all series.
pub const CONFIDENCE: f64 = 0.95;

/// The generator of all random numbers here. Its stream is the same on every machine and in every
/// version of the crate that makes it.
pub type Random = rand_pcg::Pcg64Mcg;

/// From where to where a value lies with a confidence of [`CONFIDENCE`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// Whether all of it lies on one side of zero.
    pub fn excludes_zero(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }

    /// Whether all of it lies nearer to zero than `margin`, or is zero.
    pub fn is_within(&self, margin: f64) -> bool {
        let is_zero = self.low == 0.0 && self.high == 0.0;
        is_zero || (-margin < self.low && self.high < margin)
    }
}

#[cfg(test)]
mod simulation;
