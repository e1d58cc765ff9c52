use std::hint::black_box;
use std::time::Instant;

use crate::failure::Failure;
use crate::report::Report;
use crate::sampling::{sample, time_batch};

const BATCH: u32 = 64;

/// What reading the clock takes: each value has one such reading in it.
pub(crate) fn measure(report: &mut Report) -> Result<(), Failure> {
    let values = sample(|| {
        time_batch(BATCH, || {
            black_box(Instant::now());
            Ok(())
        })
    })?;
    report.add("clock-read", BATCH, values);
    Ok(())
}
