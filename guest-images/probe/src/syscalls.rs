use std::env;
use std::hint::black_box;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::pread;
use rustix::process::getppid;

use crate::failure::Failure;
use crate::report::Report;
use crate::sampling::{sample, time_batch};

/// Each takes some tens of nanoseconds where a processor runs the kernel: together, a hundred times
/// what the clock takes.
const CALLS: u32 = 64;

/// Of those that take ten times as long.
const FILE_CALLS: u32 = 16;

pub(crate) fn measure(report: &mut Report) -> Result<(), Failure> {
    let values = sample(|| {
        time_batch(CALLS, || {
            black_box(getppid());
            Ok(())
        })
    })?;
    report.add("getppid", CALLS, values);

    // A file that is in memory for sure.
    let path = env::current_exe().map_err(Failure::of("find this program"))?;
    let open = || open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let file = open().map_err(Failure::of("open this program"))?;
    let mut block = [0; 4096];
    let values = sample(|| {
        time_batch(FILE_CALLS, || {
            pread(&file, &mut block, 0).map_err(Failure::of("read this program"))?;
            Ok(())
        })
    })?;
    report.add("read-4k-cached", FILE_CALLS, values);

    let values = sample(|| {
        time_batch(FILE_CALLS, || {
            // Closed as it is dropped.
            open().map_err(Failure::of("open this program"))?;
            Ok(())
        })
    })?;
    report.add("open-close", FILE_CALLS, values);
    Ok(())
}
