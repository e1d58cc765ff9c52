use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use launch::MonotonicNs;
use nix::errno::Errno;
use nix::libc::c_void;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// A moment that a child process writes and its parent reads: a page that both have.
pub(super) struct Doorbell(NonNull<AtomicU64>);

const LENGTH: NonZeroUsize = NonZeroUsize::new(size_of::<AtomicU64>()).unwrap();

impl Doorbell {
    pub(super) fn new() -> Result<Self, Errno> {
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, at a place that the kernel chooses, takes nothing from anybody.
        let page = unsafe { mmap_anonymous(None, LENGTH, protection, MapFlags::MAP_SHARED) }?;
        Ok(Self(page.cast()))
    }

    fn moment(&self) -> &AtomicU64 {
        // SAFETY: the mapping begins on a page, which is aligned for it, is long enough, lives as
        // long as `self`, and was zero at first, which is a valid value.
        unsafe { self.0.as_ref() }
    }

    /// Rings: in the child, with system calls and a store only.
    pub(super) fn ring(&self) {
        self.moment().store(MonotonicNs::now().0, Ordering::Release);
    }

    /// When it rang; `None` if it has not.
    pub(super) fn rang_at(&self) -> Option<MonotonicNs> {
        match self.moment().load(Ordering::Acquire) {
            0 => None,
            ns => Some(MonotonicNs(ns)),
        }
    }
}

// SAFETY: what it points to is an atomic number, and the mapping is the process's, not a thread's.
unsafe impl Send for Doorbell {}
// SAFETY: as above.
unsafe impl Sync for Doorbell {}

impl Drop for Doorbell {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nobody refers to it any more. That it can't be undone
        // would cost a page.
        let _ = unsafe { munmap(self.0.cast::<c_void>(), LENGTH.get()) };
    }
}
