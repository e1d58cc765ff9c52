//! A limit of how many bytes pass: a token bucket for each direction. What has to wait is not lost: it
//! stays in the guest's queue, or in the tap's.

use std::io;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use vmm_sys_util::timerfd::TimerFd;

/// A bucket holds what passes in this time, so that what comes in bursts is not slowed down that the
/// limit would let pass in the long run.
const BURST: Duration = Duration::from_millis(100);

/// The limits of both directions.
pub(super) struct Limits {
    pub(super) to_guest: Bucket,
    pub(super) from_guest: Bucket,
    /// Expires when something may pass again.
    pub(super) timer: TimerFd,
}

impl Limits {
    /// The same one for both.
    ///
    /// # Errors
    ///
    /// When there are no more descriptors.
    pub(super) fn new(bytes_per_s: NonZeroU64) -> io::Result<Self> {
        let now = Instant::now();
        Ok(Self {
            to_guest: Bucket::new(bytes_per_s, now),
            from_guest: Bucket::new(bytes_per_s, now),
            timer: TimerFd::new()?,
        })
    }

    /// Has the timer expire in so long, and not before.
    pub(super) fn wake_in(&mut self, wait: Duration) {
        if let Err(error) = self.timer.reset(wait, None) {
            tracing::error!("network: its timer can't be set: {error}");
        }
    }

    /// To be done when the timer has expired.
    pub(super) fn woken(&mut self) {
        if let Err(error) = self.timer.wait() {
            tracing::debug!("network: woken for nothing: {error}");
        }
    }
}

/// How long a direction has to wait, if it has to.
pub(super) fn wait(limit: &mut Option<&mut Bucket>) -> Option<Duration> {
    limit.as_mut()?.check(Instant::now()).err()
}

/// Bytes that may pass now. Each byte that passes takes one out, and time puts them back.
#[derive(Debug)]
pub(super) struct Bucket {
    bytes_per_s: NonZeroU64,
    /// In nanobytes: what a nanosecond brings is a whole number of them. Below zero after a frame that
    /// was longer than what was left: the next one waits for longer.
    tokens: i128,
    filled: Instant,
}

const NANO: u128 = 1_000_000_000;

impl Bucket {
    /// A full one.
    pub(super) fn new(bytes_per_s: NonZeroU64, now: Instant) -> Self {
        Self {
            bytes_per_s,
            tokens: capacity(bytes_per_s),
            filled: now,
        }
    }

    /// Whether a frame may pass now; if not, how long it has to wait.
    pub(super) fn check(&mut self, now: Instant) -> Result<(), Duration> {
        let passed = now.saturating_duration_since(self.filled);
        self.filled = self.filled.max(now);
        let brought = self.bringing(passed);
        self.tokens = capacity(self.bytes_per_s).min(self.tokens.saturating_add(brought));
        if self.tokens > 0 {
            return Ok(());
        }
        // Rounded up, so that there is something then.
        let rate = u128::from(self.bytes_per_s.get());
        let wait_ns = self.tokens.unsigned_abs() / rate + 1;
        Err(Duration::from_nanos(
            u64::try_from(wait_ns).unwrap_or(u64::MAX),
        ))
    }

    /// A frame of so many bytes passes.
    pub(super) fn take(&mut self, bytes: u32) {
        let taken = i128::from(bytes) * NANO as i128;
        self.tokens = self.tokens.saturating_sub(taken);
    }

    fn bringing(&self, passed: Duration) -> i128 {
        let brought = passed
            .as_nanos()
            .saturating_mul(self.bytes_per_s.get().into());
        i128::try_from(brought).unwrap_or(i128::MAX)
    }
}

fn capacity(bytes_per_s: NonZeroU64) -> i128 {
    // At most 2^64 times 10^8.
    (u128::from(bytes_per_s.get()) * BURST.as_nanos()) as i128
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(bytes_per_s: u64) -> (Bucket, Instant) {
        let now = Instant::now();
        (Bucket::new(NonZeroU64::new(bytes_per_s).unwrap(), now), now)
    }

    #[test]
    fn a_burst_passes_and_then_as_much_as_time_brings() {
        let (mut bucket, start) = bucket(1_000_000);
        bucket.take(100_000);
        assert_eq!(bucket.check(start), Err(Duration::from_nanos(1)));
        let later = start + Duration::from_millis(2);
        assert_eq!(bucket.check(later), Ok(()));
        bucket.take(2_001);
        assert_eq!(bucket.check(later), Err(Duration::from_nanos(1_001)));
        assert_eq!(bucket.check(later + Duration::from_nanos(1_001)), Ok(()));
    }

    #[test]
    fn idle_time_brings_no_more_than_a_burst() {
        let (mut bucket, start) = bucket(1_000);
        let later = start + Duration::from_secs(3600);
        assert_eq!(bucket.check(later), Ok(()));
        bucket.take(101);
        assert!(bucket.check(later).is_err());
    }

    #[test]
    fn a_frame_longer_than_a_burst_passes_and_is_paid_for_afterwards() {
        let (mut bucket, start) = bucket(1_000);
        bucket.take(65_553);
        let wait = bucket.check(start).unwrap_err();
        assert!((65..66).contains(&wait.as_secs()), "{wait:?}");
        assert_eq!(bucket.check(start + wait), Ok(()));
    }

    #[test]
    fn over_any_time_no_more_passes_than_the_rate_a_burst_and_a_frame() {
        let (rate, frame) = (300_000, 1_514);
        let (mut bucket, start) = bucket(rate);
        let (mut now, mut passed) = (start, 0);
        while now < start + Duration::from_secs(5) {
            match bucket.check(now) {
                Ok(()) => {
                    bucket.take(frame);
                    passed += u64::from(frame);
                }
                Err(wait) => now += wait,
            }
        }
        let most = 5 * rate + rate / 10 + u64::from(frame);
        assert!((5 * rate..=most).contains(&passed), "{passed}");
    }

    #[test]
    fn the_largest_rate_and_a_clock_that_goes_back_are_no_trouble() {
        let (mut bucket, start) = bucket(u64::MAX);
        bucket.take(u32::MAX);
        assert_eq!(
            bucket.check(start + Duration::from_secs(u32::MAX.into())),
            Ok(())
        );
        assert_eq!(bucket.check(start), Ok(()));
    }
}
