//! Guest memory: its size, its place in the guest, its mapping in this process.

use vm_memory::GuestAddress;
use vm_memory::mmap::FromRangesError;

use crate::layout;

/// All memory of a guest. Cloning it shares the memory.
pub type GuestMemory = vm_memory::GuestMemoryMmap;

/// Guest memory can't be had.
#[derive(Debug, thiserror::Error)]
#[error("{bytes} bytes of guest memory can't be mapped")]
pub struct MemoryError {
    bytes: u64,
    #[source]
    cause: FromRangesError,
}

/// Maps `bytes` of guest memory, none of which is charged before it is touched: anonymous,
/// private, without reserve.
///
/// # Errors
///
/// When the address space of this process has no room for it.
pub fn allocate(bytes: u64) -> Result<GuestMemory, MemoryError> {
    let ranges: Vec<_> = ranges(bytes)
        .into_iter()
        .map(|(start, bytes)| (GuestAddress(start), bytes as usize))
        .collect();
    GuestMemory::from_ranges(&ranges).map_err(|cause| MemoryError { bytes, cause })
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
