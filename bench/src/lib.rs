//! Runs launchers, measures them and compares.
//!
//! [`compare()`] runs one workload each [`Way`] and returns a [`Comparison`]: plain data, with
//! units in its names, that serialises to JSON as it is and that [`table::render`] shows to a
//! person. It states figures and differences and draws no conclusion from them.

mod capture;
mod compare;
mod comparison;
mod difference;
mod environment;
mod interrupt;
mod measure;
mod pss;

pub mod statistics;
pub mod table;
mod units;
mod way;
mod ways;

pub use capture::{Captured, KEPT_BYTES};
pub use compare::{Error, Plan, compare};
pub use comparison::{
    Comparison, FootprintMoment, FootprintReading, Outcome, WayReport, WorkloadFacts,
};
pub use difference::{Difference, Hunk, Pair};
pub use environment::Environment;
pub use interrupt::Interrupt;
pub use pss::pss_bytes;
pub use statistics::quantile;
pub use table::visible;
pub use units::{size, time};
pub use way::Way;
pub use ways::Ways;
