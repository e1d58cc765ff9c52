//! When a workload is ready to be used.

mod probe;
mod readiness;

pub(crate) use probe::{Asking, LineWatch, Probe, Ready};
pub use readiness::{InvalidReadiness, Readiness};
