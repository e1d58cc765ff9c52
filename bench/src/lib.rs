//! Runs launchers, measures them and compares.
//!
//! [`compare()`] runs one workload on both sides and returns a [`Comparison`]: plain data, with
//! units in its names, that serialises to JSON as it is and that [`table::render`] shows to a
//! person. It states figures and differences and draws no conclusion from them.

mod capture;
mod compare;
mod comparison;
mod difference;
mod environment;
mod interrupt;
mod measure;
mod quantile;
mod sides;
pub mod table;
mod units;

pub use capture::{Captured, KEPT_BYTES};
pub use compare::{Error, Plan, compare};
pub use comparison::{
    Comparison, FootprintMoment, FootprintReading, Outcome, SideReport, WorkloadFacts,
};
pub use difference::{Difference, Hunk};
pub use environment::Environment;
pub use interrupt::Interrupt;
pub use quantile::quantile;
pub use sides::Sides;
pub use table::visible;
pub use units::{size, time};
