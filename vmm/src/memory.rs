//! Guest memory: its size, its place in the guest, its mapping in this process.

mod region;

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use vm_memory::mmap::FromRangesError;
use vm_memory::{
    GuestAddress, GuestMemoryBackend, GuestMemoryRegion, GuestRegionCollection,
    MemoryRegionAddress, VolatileSlice,
};

pub use region::Region;

use crate::layout;
use crate::snapshot::{Extent, MemoryFile, SavedMemory};

/// All memory of a guest. Cloning it shares the memory.
pub type GuestMemory = GuestRegionCollection<Region>;

/// Guest memory can't be had.
#[derive(Debug, thiserror::Error)]
#[error("{bytes} bytes of guest memory can't be mapped")]
pub struct MemoryError {
    bytes: u64,
    #[source]
    cause: FromRangesError,
}

/// Saved memory can't be had.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The address space of this process has no room.
    #[error(transparent)]
    Allocate(#[from] MemoryError),
    /// A part of the file can't be mapped: there may be more of them than
    /// `/proc/sys/vm/max_map_count` allows.
    #[error("saved memory can't be mapped at {offset:#x}")]
    Map {
        /// Of the part.
        offset: u64,
        /// Why.
        source: io::Error,
    },
}

/// Maps `bytes` of guest memory, none of which is charged before it is touched.
///
/// # Errors
///
/// When the address space of this process has no room for it.
pub fn allocate(bytes: u64) -> Result<GuestMemory, MemoryError> {
    let allocate = || -> Result<GuestMemory, FromRangesError> {
        let mut regions = Vec::new();
        for (start, bytes) in ranges(bytes) {
            regions.push(Region::map(GuestAddress(start), bytes as usize)?);
        }
        Ok(GuestMemory::from_regions(regions)?)
    };
    allocate().map_err(|cause| MemoryError { bytes, cause })
}

/// Maps what `saved` says, none of which is read before it is touched: its data from the file,
/// privately, and all else as [`allocate`] does. To touch a hole of the file would cost a page
/// there and another here.
///
/// `file` must be kept for as long as the memory, and its data was verified.
///
/// # Errors
///
/// When it can't be mapped.
pub fn restore(file: &MemoryFile, saved: &SavedMemory) -> Result<GuestMemory, RestoreError> {
    let memory = allocate(saved.bytes())?;
    for extent in saved.extents().iter() {
        map(&memory, file, extent).map_err(|source| RestoreError::Map {
            offset: extent.offset,
            source,
        })?;
    }
    Ok(memory)
}

/// Puts a private mapping of the file's `extent` in the place of the memory that it was saved
/// from: the file is RAM without the hole.
fn map(memory: &GuestMemory, file: &MemoryFile, extent: Extent) -> io::Result<()> {
    let mut region_offset = 0;
    for region in memory.iter() {
        let region_end = region_offset + region.len();
        let start = extent.offset.max(region_offset);
        let end = extent.end().min(region_end);
        if start < end {
            let bytes = (end - start) as usize;
            let place = region
                .get_slice(MemoryRegionAddress(start - region_offset), bytes)
                .map_err(io::Error::other)?;
            // SAFETY: extents are of whole pages, and so is the start of each region in the file.
            // The file is as long as memory: `MemoryFile` saw that after it had taken a lease, so
            // who wants to cut it off waits until the machine was ended. Where there are no
            // leases, only root or this user can do it, and an access behind the end is a SIGBUS,
            // which ends the process.
            unsafe { map_file(&place, file.file(), start)? };
        }
        region_offset = region_end;
    }
    Ok(())
}

/// Puts a private mapping of `file`, from `offset` on, in the place of a slice of guest memory.
///
/// # Errors
///
/// When the kernel refuses the mapping.
///
/// # Safety
///
/// The slice is of whole pages, and `offset` a multiple of their size. The file has as many bytes
/// as are mapped, and keeps them for as long as the memory lives.
pub(crate) unsafe fn map_file(
    place: &VolatileSlice<'_>,
    file: &File,
    offset: u64,
) -> io::Result<()> {
    // SAFETY: the slice proves that the whole range lies in one mapping of guest memory, which
    // this replaces page by page, as the caller promises. Guest memory stays readable, writable
    // and of the same extent, its owner unmaps all of it at its end, and whoever accesses it does
    // so through volatile slices, for which a change of contents is nothing new.
    let mapped = unsafe {
        libc::mmap(
            place.ptr_guard_mut().as_ptr().cast(),
            place.len(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_FIXED | libc::MAP_NORESERVE,
            file.as_raw_fd(),
            offset as libc::off_t,
        )
    };
    if mapped == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Start and size of the ranges of RAM, lowest first: up to two, around the hole below 4 GiB.
pub fn ranges(bytes: u64) -> Vec<(u64, u64)> {
    match bytes.checked_sub(layout::HOLE) {
        None | Some(0) => vec![(0, bytes)],
        Some(above) => vec![(0, layout::HOLE), (layout::HOLE_END, above)],
    }
}

#[cfg(test)]
mod tests {
    use vm_memory::{Bytes, GuestMemoryBackend, GuestMemoryRegion};

    use super::*;

    #[test]
    fn memory_has_a_hole_below_4_gib() {
        const GIB: u64 = 1 << 30;
        for (bytes, expected) in [
            (128 << 20, vec![(0, 128 << 20)]),
            (3 * GIB, vec![(0, 3 * GIB)]),
            (3 * GIB + 4096, vec![(0, 3 * GIB), (4 * GIB, 4096)]),
            (8 * GIB, vec![(0, 3 * GIB), (4 * GIB, 5 * GIB)]),
        ] {
            assert_eq!(ranges(bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn mapped_memory_is_as_large_as_asked_for_and_empty() {
        let memory = allocate(5 << 30).unwrap();
        let total: u64 = memory.iter().map(|region| region.len()).sum();
        assert_eq!(total, 5 << 30);
        let last = GuestAddress((6 << 30) - 8);
        assert_eq!(memory.read_obj::<u64>(last).unwrap(), 0);
        assert!(memory.read_obj::<u64>(GuestAddress(layout::HOLE)).is_err());
    }
}
