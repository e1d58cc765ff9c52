use std::time::{Duration, Instant};

use crate::failure::Failure;

/// So many values make a figure, where they are cheap.
const MOST: usize = 1000;

/// After this there are no more, where they are not.
const LONGEST: Duration = Duration::from_millis(500);

/// So many there are in any case.
const FEWEST: usize = 3;

/// What batches of operations took.
#[derive(Debug, Default)]
pub(crate) struct Values(Vec<u64>);

impl Values {
    pub(crate) fn push(&mut self, duration: Duration) {
        // 584 years fit.
        self.0.push(duration.as_nanos() as u64);
    }

    pub(crate) fn into_nanoseconds(self) -> Vec<u64> {
        self.0
    }
}

#[cfg(test)]
impl<T: Iterator<Item = u64>> From<T> for Values {
    fn from(values: T) -> Self {
        Self(values.collect())
    }
}

/// The values of what times itself, as many as there is room for. One before them warms up.
pub(crate) fn sample(
    mut value: impl FnMut() -> Result<Duration, Failure>,
) -> Result<Values, Failure> {
    value()?;
    let mut values = Values::default();
    let began = Instant::now();
    while values.0.len() < FEWEST || (values.0.len() < MOST && began.elapsed() < LONGEST) {
        values.push(value()?);
    }
    Ok(values)
}

/// What `batch` times `operation` take, as one value.
pub(crate) fn time_batch(
    batch: u32,
    mut operation: impl FnMut() -> Result<(), Failure>,
) -> Result<Duration, Failure> {
    let began = Instant::now();
    for _ in 0..batch {
        operation()?;
    }
    Ok(began.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cheap_values_are_bounded_by_number_and_dear_ones_by_time() {
        let mut calls = 0;
        let values = sample(|| {
            calls += 1;
            Ok(Duration::from_nanos(calls))
        });
        let values = values.unwrap().into_nanoseconds();
        assert_eq!((values.len(), values[0]), (MOST, 2));
        let values = sample(|| {
            std::thread::sleep(LONGEST);
            Ok(LONGEST)
        });
        assert_eq!(values.unwrap().into_nanoseconds().len(), FEWEST);
    }
}
