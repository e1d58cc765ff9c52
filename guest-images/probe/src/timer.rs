use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::report::Report;
use crate::sampling::sample;

const SLEEP: Duration = Duration::from_millis(1);

/// How much later than asked a sleeper goes on.
pub(crate) fn measure(report: &mut Report) -> Result<(), Failure> {
    let values = sample(|| {
        let began = Instant::now();
        thread::sleep(SLEEP);
        Ok(began.elapsed().saturating_sub(SLEEP))
    })?;
    report.add("timer-overshoot", 1, values);
    Ok(())
}
