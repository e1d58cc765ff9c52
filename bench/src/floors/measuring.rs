use std::fmt;
use std::hint::black_box;

use launch::MonotonicNs;
use serde::{Deserialize, Serialize};

use crate::quantile;
use crate::units::time;

const ROUNDS: usize = 15;
const READINGS: u64 = 1000;

/// What measuring adds to what is measured, in nanoseconds, medians.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measuring {
    /// A reading of the clock. One ends each span of a launch; a container's doorbell is nothing more.
    pub clock_ns: u64,
    /// A VM's doorbell: the exit for a write to memory that is none, a reading of the clock, and the
    /// entry again. `None` where no VM can run.
    pub vm_doorbell_ns: Option<u64>,
}

impl Measuring {
    /// Calibrates the clock, in some hundredths of a millisecond, beside what was found of exits.
    pub(super) fn calibrate(mmio_exits_ns: Option<&[u64]>) -> Option<Self> {
        let rounds: Vec<_> = (0..ROUNDS).map(|_| clock_ns()).collect();
        Some(Self {
            clock_ns: quantile(&rounds, 0.5)?,
            vm_doorbell_ns: mmio_exits_ns.and_then(|exits| quantile(exits, 0.5)),
        })
    }
}

/// The mean of some readings in a row.
fn clock_ns() -> u64 {
    let start = MonotonicNs::now();
    for _ in 0..READINGS {
        black_box(MonotonicNs::now());
    }
    MonotonicNs::now().since(start) / READINGS
}

impl fmt::Display for Measuring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Measuring itself adds {} to each span, a reading of the clock",
            time(self.clock_ns)
        )?;
        match self.vm_doorbell_ns {
            Some(doorbell) => write!(
                f,
                ", and {} to a VM's launch to main, the exit that its doorbell is.",
                time(doorbell)
            ),
            None => f.write_str("."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_in_a_sentence() {
        for (vm_doorbell_ns, expected) in [
            (
                Some(8_260),
                "Measuring itself adds 46 ns to each span, a reading of the clock, and 8.26 µs to a \
                 VM's launch to main, the exit that its doorbell is.",
            ),
            (
                None,
                "Measuring itself adds 46 ns to each span, a reading of the clock.",
            ),
        ] {
            let measuring = Measuring {
                clock_ns: 46,
                vm_doorbell_ns,
            };
            assert_eq!(measuring.to_string(), expected);
        }
    }

    #[test]
    fn the_clock_takes_time_and_the_doorbell_what_an_exit_takes() {
        let measuring = Measuring::calibrate(Some(&[9_000, 7_000, 8_000])).unwrap();
        assert!(measuring.clock_ns > 0);
        assert_eq!(measuring.vm_doorbell_ns, Some(8_000));
        assert_eq!(Measuring::calibrate(None).unwrap().vm_doorbell_ns, None);
    }
}
