use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// How large an image may be when it is unpacked: a few kilobytes can be compressed from any
/// number of gigabytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all its layers, uncompressed.
    pub bytes: u64,
    /// Files, directories and so on in all its layers.
    pub entries: u64,
}

impl Default for Limits {
    /// Larger than any image in ordinary use.
    fn default() -> Self {
        Self {
            bytes: 16 << 30,
            entries: 1_000_000,
        }
    }
}

/// An image is larger than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// In bytes.
    #[error("the image unpacks to more than {0} bytes")]
    Bytes(u64),
    /// In names.
    #[error("the image has more than {0} files")]
    Entries(u64),
}

impl TooLarge {
    /// What the user can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Bytes(_) => "if you trust it, allow more with --max-unpacked SIZE",
            Self::Entries(_) => "if you trust it, allow more with --max-files NUMBER",
        }
    }
}

/// What the user can do about an error that this one may be the cause of.
pub(super) fn remedy(error: &io::Error) -> Option<&'static str> {
    let cause = error.get_ref()?.downcast_ref::<TooLarge>()?;
    Some(cause.remedy())
}

/// What is left of the limits while an image is unpacked. Layers may be unpacked at once.
#[derive(Debug)]
pub struct Budget {
    limits: Limits,
    bytes: AtomicU64,
    entries: AtomicU64,
}

impl Budget {
    /// All of it.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            bytes: AtomicU64::new(limits.bytes),
            entries: AtomicU64::new(limits.entries),
        }
    }

    /// Takes this many bytes.
    pub(super) fn take_bytes(&self, count: u64) -> Result<(), TooLarge> {
        take(&self.bytes, count).ok_or(TooLarge::Bytes(self.limits.bytes))
    }

    /// Takes one entry.
    pub(super) fn take_entry(&self) -> Result<(), TooLarge> {
        take(&self.entries, 1).ok_or(TooLarge::Entries(self.limits.entries))
    }
}

fn take(left: &AtomicU64, count: u64) -> Option<()> {
    left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
        left.checked_sub(count)
    })
    .ok()
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_gives_what_it_has_and_no_more() {
        let budget = Budget::new(Limits {
            bytes: 10,
            entries: 1,
        });
        assert_eq!(budget.take_bytes(7), Ok(()));
        assert_eq!(budget.take_bytes(4), Err(TooLarge::Bytes(10)));
        assert_eq!(budget.take_bytes(3), Ok(()));
        assert_eq!(budget.take_entry(), Ok(()));
        assert_eq!(budget.take_entry(), Err(TooLarge::Entries(1)));
    }
}
