//! Waiting for what the kernel does later.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::error::Error;

/// How long killed processes may take to be gone, and others to stop. A big one takes a second
/// or so to give its memory back; one that hangs in the kernel would take forever.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two looks; doubled each time up to the longest.
const FIRST_PAUSE: Duration = Duration::from_micros(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// Repeats `step` until it says that it is done, or patience is at its end.
pub(super) fn until_done(mut step: impl FnMut() -> Result<bool, Error>) -> Result<bool, Error> {
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    while !step()? {
        if start.elapsed() > PATIENCE {
            return Ok(false);
        }
        sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Ok(true)
}
