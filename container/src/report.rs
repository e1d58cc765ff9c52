use std::cell::UnsafeCell;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

use entry::Failure;
use launch::MonotonicNs;
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use nix::unistd::Pid;

/// A moment in the child's life that ends a span of the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// It runs.
    Cloned,
    /// It is in its cgroup and in all its namespaces.
    Placed,
    /// Its loopback interface is up; not in a network namespace that was made for it.
    Networked,
    /// Its root is in place.
    Mounted,
    /// Its next system call is the command's `execve`.
    Main,
}

impl Moment {
    /// All of them, in the order in which they come.
    pub(crate) const ALL: [Self; 5] = [
        Self::Cloned,
        Self::Placed,
        Self::Networked,
        Self::Mounted,
        Self::Main,
    ];

    /// The span that it ends.
    pub(crate) fn span(self) -> &'static str {
        match self {
            Self::Cloned => "clone",
            Self::Placed => "join",
            Self::Networked => "network",
            Self::Mounted => "mounts",
            Self::Main => "exec",
        }
    }
}

/// What a child process tells its parent on the way to the command: memory that both have, so
/// that telling costs the child no system call. It is not in the command's reach: `execve`
/// unmaps it.
pub(crate) struct Report {
    page: NonNull<Page>,
}

struct Page {
    /// Nanoseconds; 0 is a moment that has not come.
    stamps: [AtomicU64; Moment::ALL.len()],
    failure: UnsafeCell<Option<Failure>>,
    /// The number of a further process; 0 is none.
    sibling: AtomicI32,
    /// Whether `failure` was written to the end: a child may be killed while it writes.
    told: AtomicBool,
}

const LENGTH: NonZeroUsize = match NonZeroUsize::new(size_of::<Page>()) {
    Some(length) => length,
    None => NonZeroUsize::MIN,
};

// SAFETY: the page is shared memory for the whole life of the report. Its stamps are atomic. Its
// failure is written by the child only and read by the parent only after the child's end or its
// `execve`, so no two threads or processes use it at a time in a way that conflicts.
unsafe impl Send for Report {}
// SAFETY: as above; readers of one process do not conflict.
unsafe impl Sync for Report {}

impl Report {
    pub(crate) fn new() -> Result<Self, Errno> {
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that is.
        let page = unsafe { mmap_anonymous(None, LENGTH, protection, MapFlags::MAP_SHARED) }?;
        let page = page.cast::<Page>();
        let empty = Page {
            stamps: [const { AtomicU64::new(0) }; Moment::ALL.len()],
            failure: UnsafeCell::new(None),
            sibling: AtomicI32::new(0),
            told: AtomicBool::new(false),
        };
        // SAFETY: the mapping is writable, page-aligned, at least as long as a `Page`, and known
        // to nobody else yet.
        unsafe { page.write(empty) };
        Ok(Self { page })
    }

    fn page(&self) -> &Page {
        // SAFETY: `new` made the page valid, and it is mapped as long as `self` lives.
        unsafe { self.page.as_ref() }
    }

    /// Stamps a moment; in the child.
    pub(crate) fn stamp(&self, moment: Moment) {
        if let Some(stamp) = self.page().stamps.get(moment as usize) {
            stamp.store(MonotonicNs::now().0, Ordering::Release);
        }
    }

    /// When a moment came; `None` if it has not.
    pub(crate) fn stamped(&self, moment: Moment) -> Option<MonotonicNs> {
        let stamp = self.page().stamps.get(moment as usize)?;
        Some(stamp.load(Ordering::Acquire))
            .filter(|ns| *ns != 0)
            .map(MonotonicNs)
    }

    /// Where the kernel is to put the number of a further process that the child makes.
    pub(crate) fn sibling_slot(&self) -> *mut i32 {
        self.page().sibling.as_ptr()
    }

    /// The number of the process that the child has made.
    pub(crate) fn sibling(&self) -> Option<Pid> {
        let pid = self.page().sibling.load(Ordering::Acquire);
        (pid != 0).then(|| Pid::from_raw(pid))
    }

    /// Tells a failure; in the child, which must end after that.
    pub(crate) fn fail(&self, failure: Failure) {
        // SAFETY: the parent does not read before the end of the child, which has one thread.
        unsafe { *self.page().failure.get() = Some(failure) };
        self.page().told.store(true, Ordering::Release);
    }

    /// The failure that the child told.
    ///
    /// # Safety
    ///
    /// The child has executed the command or has ended.
    pub(crate) unsafe fn failure(&self) -> Option<Failure> {
        if !self.page().told.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: it was written to the end, and nobody writes any more: the caller sees to it.
        unsafe { *self.page().failure.get() }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        // SAFETY: the mapping is this report's, of this length, and nothing borrows from it. It
        // can only fail for a range that is none.
        let _ = unsafe { munmap(self.page.cast(), LENGTH.get()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_stamped_when_it_comes() {
        let report = Report::new().unwrap();
        assert_eq!(report.stamped(Moment::Main), None);
        let before = MonotonicNs::now();
        report.stamp(Moment::Main);
        assert!(report.stamped(Moment::Main) >= Some(before));
        assert_eq!(report.stamped(Moment::Mounted), None);
    }

    #[test]
    fn a_failure_is_told_with_its_step_and_errno() {
        let report = Report::new().unwrap();
        let failure = Failure {
            step: entry::Step::Overlay,
            errno: 19,
        };
        // SAFETY: there is no child.
        assert_eq!(unsafe { report.failure() }, None);
        report.fail(failure);
        // SAFETY: as above.
        assert_eq!(unsafe { report.failure() }, Some(failure));
    }
}
