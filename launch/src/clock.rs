use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// A moment on the host's `CLOCK_MONOTONIC`, in nanoseconds.
///
/// `std::time::Instant` is the same clock but can't cross a process boundary, and a launch is
/// timed by several processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MonotonicNs(pub u64);

impl MonotonicNs {
    /// Reads the clock.
    pub fn now() -> Self {
        // clock_gettime(2) fails only for an unknown clock or a bad pointer; neither is possible.
        clock_gettime(ClockId::CLOCK_MONOTONIC)
            .map(|now| Self(Duration::from(now).as_nanos() as u64))
            .unwrap_or(Self(0))
    }

    /// Nanoseconds from `earlier` to `self`; 0 if `earlier` is the later one.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
