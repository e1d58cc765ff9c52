use std::collections::VecDeque;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::Interrupt;
use crate::statistics::quantile;

/// How often it is read while it settles.
const READ_EVERY: Duration = Duration::from_millis(100);

/// Without changes for so many readings, it has settled.
const STILL: usize = 8;

/// Smaller changes are none: those of a host that does nothing.
const NO_CHANGE_BYTES: u64 = 512 << 10;

/// One that has not settled by then won't: others work on the host, too.
const PATIENCE: Duration = Duration::from_secs(4);

/// Of the host's memory, this part is never taken: what ran out of memory would be ended by the
/// kernel, and need not be one of ours.
const RESERVED_PART: u64 = 10;

/// What of the host's memory could be had, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HostMemory {
    pub available: u64,
    total: u64,
}

impl HostMemory {
    /// `MemAvailable` and `MemTotal`, proc_meminfo(5).
    pub fn read() -> io::Result<Self> {
        Self::parse(&fs::read_to_string(Path::new("/proc/meminfo"))?)
            .ok_or_else(|| ErrorKind::InvalidData.into())
    }

    fn parse(meminfo: &str) -> Option<Self> {
        let bytes = |name: &str| {
            let rest = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: u64 = rest.split_whitespace().next()?.parse().ok()?;
            kib.checked_mul(1024)
        };
        Some(Self {
            available: bytes("MemAvailable:")?,
            total: bytes("MemTotal:")?,
        })
    }

    /// Whether more of it should not be taken.
    pub fn is_low(self) -> bool {
        self.available < self.total / RESERVED_PART
    }
}

/// Waits until the available memory keeps still: how much that is, in bytes, and whether it did.
/// `None` when it is interrupted.
///
/// # Errors
///
/// When it can't be read.
pub(super) fn settled(interrupt: &Interrupt) -> io::Result<Option<(u64, bool)>> {
    let began = Instant::now();
    let mut latest = VecDeque::with_capacity(STILL);
    loop {
        if interrupt.is_raised() {
            return Ok(None);
        }
        if latest.len() == STILL {
            latest.pop_front();
        }
        latest.push_back(HostMemory::read()?.available);
        let is_settled = is_still(&latest);
        if is_settled || began.elapsed() > PATIENCE {
            let values: Vec<_> = latest.into_iter().collect();
            return Ok(quantile(&values, 0.5).map(|available| (available, is_settled)));
        }
        thread::sleep(READ_EVERY);
    }
}

fn is_still(latest: &VecDeque<u64>) -> bool {
    let (least, most) = (latest.iter().min(), latest.iter().max());
    latest.len() == STILL
        && most
            .zip(least)
            .is_some_and(|(most, least)| most - least <= NO_CHANGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_tells_is_read() {
        let meminfo = "MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    99 kB\n";
        let memory = HostMemory::parse(meminfo).unwrap();
        assert_eq!((memory.available, memory.total), (99 << 10, 1000 << 10));
        assert!(memory.is_low());
        let plenty = HostMemory::parse(&meminfo.replace("99 kB", "100 kB")).unwrap();
        assert!(!plenty.is_low());
        assert_eq!(HostMemory::parse("MemTotal: 1000 kB\n"), None);
    }

    #[test]
    fn what_keeps_still_for_long_enough_has_settled() {
        let mib = |values: &[u64]| values.iter().map(|value| value << 20).collect();
        assert!(is_still(&mib(&[7; STILL])));
        assert!(!is_still(&mib(&[7; STILL - 1])));
        assert!(!is_still(&mib(&[7, 7, 7, 7, 7, 7, 7, 8])));
    }
}
