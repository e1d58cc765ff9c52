//! Runs launchers, measures them and compares.
//!
//! [`compare()`] runs one workload each [`Way`], looks whether all did the same, lets them take turns
//! in a [`series`] of timed runs, and returns a [`Comparison`]: plain data, with units in its names,
//! that serialises to JSON as it is and that [`table::render`] shows to a person. What it concludes
//! is no more than the [`statistics`] of the series allow.

pub mod budget;
mod capture;
pub mod changes;
mod compare;
mod comparison;
mod contender;
mod difference;
mod disk;
mod durability;
mod environment;
pub mod export;
pub mod floors;
pub mod html;
mod interrupt;
mod isolation;
pub mod load;
mod measurand;
mod measure;
mod observed;
pub mod processes;
mod pss;
mod quantity;
mod ready;
pub mod reported;
mod results;
pub mod series;
pub mod statistics;
pub mod suite;
pub mod table;
mod toml_text;
mod typed_duration;
mod units;
pub mod warnings;
mod way;
mod ways;

pub use capture::{Captured, KEPT_BYTES};
pub use compare::{Error, Other, Plan, compare};
pub use comparison::{
    Comparison, FootprintMoment, FootprintReading, OtherReport, Outcome, WayReport, WorkloadFacts,
};
pub use contender::{Contender, Opponent, Peer, UnknownContender, UnknownOpponent};
pub use difference::{Difference, Hunk, Pair};
pub use disk::{DiskUse, OwnDisk};
pub use durability::{Durability, ImageCache, Writes};
pub use environment::{CgroupMount, Environment, FileSystem, HostFacts, Programs, file_sha256};
pub use interrupt::Interrupt;
pub use isolation::Isolation;
pub use observed::{Count, Observed, ObservedReading};
pub use pss::pss_bytes;
pub use quantity::Quantity;
pub use ready::{InvalidReadiness, Readiness};
pub use reported::{Figure, FigureResult, FigureRow, Reported};
pub use results::{Against, MetricResult, ResultRow};
pub use series::{Ended, Metric, Sample, SampleOutcome, Series, SeriesPlan, UnknownMetric};
pub use statistics::quantile;
pub use table::visible;
pub use toml_text::TomlError;
pub use typed_duration::{InvalidDuration, TypedDuration};
pub use units::{size, time};
pub use warnings::Warning;
pub use way::Way;
pub use ways::Ways;
