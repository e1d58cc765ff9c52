use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::time::Instant;

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

use crate::failure::Failure;
use crate::report::Report;
use crate::sampling::Values;

pub(crate) const PAGE_BYTES: usize = 4096;

const MIB: usize = 1 << 20;

/// Anonymous memory of this process alone.
pub(crate) struct Mapping {
    start: NonNull<c_void>,
    bytes: usize,
}

impl Mapping {
    /// `bytes` are a multiple of [`PAGE_BYTES`].
    pub(crate) fn new(bytes: usize) -> Result<Self, Failure> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: the kernel chooses where, so nothing that is in use is mapped over.
        let start = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                flags,
            )
        }
        .map_err(Failure::of("map memory"))?;
        let start = NonNull::new(start).ok_or(rustix::io::Errno::NOMEM);
        let start = start.map_err(Failure::of("map memory"))?;
        Ok(Self { start, bytes })
    }

    /// Small pages only: a huge one would be one fault for 512 of them.
    pub(crate) fn without_huge_pages(bytes: usize) -> Result<Self, Failure> {
        let mapping = Self::new(bytes)?;
        // A kernel that has no huge pages refuses that, and is as well.
        // SAFETY: that changes nothing of what is in this mapping, which is all that is named.
        let _ = unsafe { madvise(mapping.start.as_ptr(), bytes, Advice::LinuxNoHugepage) };
        Ok(mapping)
    }

    /// Writes to each page of a part.
    pub(crate) fn touch(&mut self, from: usize, bytes: usize) {
        let end = self.bytes.min(from.saturating_add(bytes));
        for offset in (from..end).step_by(PAGE_BYTES) {
            // SAFETY: the offset is below the length of the mapping, which can be written to, is
            // there until `self` is dropped, and which nothing else refers to.
            unsafe {
                self.start
                    .as_ptr()
                    .cast::<u8>()
                    .add(offset)
                    .write_volatile(1)
            };
        }
    }

    /// Gives the pages of a part back; they can be touched again.
    pub(crate) fn give_back(&mut self, from: usize, bytes: usize) -> Result<(), Failure> {
        let from = from.min(self.bytes);
        let bytes = bytes.min(self.bytes - from);
        // SAFETY: the range is in the mapping, whose contents nothing relies on.
        unsafe {
            let start = self.start.as_ptr().cast::<u8>().add(from);
            madvise(start.cast(), bytes, Advice::LinuxDontNeed)
        }
        .map_err(Failure::of("give memory back"))
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // A failure would leave the memory to the end of the process, which is near.
        // SAFETY: nothing refers to it any more.
        let _ = unsafe { munmap(self.start.as_ptr(), self.bytes) };
    }
}

/// Touches so much memory, as a program would get it, and gives it back, each MiB a value.
pub(crate) fn measure(mib: u32, report: &mut Report) -> Result<(), Failure> {
    let mib = mib as usize;
    let mut mapping = Mapping::new(mib.saturating_mul(MIB))?;
    let mut touched = Values::default();
    for index in 0..mib {
        let began = Instant::now();
        mapping.touch(index * MIB, MIB);
        touched.push(began.elapsed());
    }
    let mut freed = Values::default();
    for index in 0..mib {
        let began = Instant::now();
        mapping.give_back(index * MIB, MIB)?;
        freed.push(began.elapsed());
    }
    report.add("touch-1m", 1, touched);
    report.add("free-1m", 1, freed);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_back_can_be_touched_again() {
        let mut mapping = Mapping::without_huge_pages(4 * PAGE_BYTES).unwrap();
        for _ in 0..2 {
            mapping.touch(0, usize::MAX);
            mapping.give_back(PAGE_BYTES, usize::MAX).unwrap();
        }
        mapping.give_back(usize::MAX, 1).unwrap();
    }
}
