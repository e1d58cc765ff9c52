//! A piece of guest memory, at an address of this process where huge pages can serve it.

use vm_memory::mmap::MmapRegionError;
use vm_memory::{
    GuestAddress, GuestMemoryError, GuestMemoryRegion, GuestMemoryRegionBytes, GuestUsize,
    MemoryRegionAddress, MmapRegion, VolatileMemory, VolatileSlice,
};

/// What one entry of the second-lowest page table maps, here and in the second page tables of VT-x
/// and AMD-V: KVM maps as much at once only if both addresses have the same place in it
/// (`arch/x86/kvm/x86.c`, `kvm_alloc_memslot_metadata`).
pub(super) const HUGE_PAGE_BYTES: usize = 2 << 20;

/// A continuous range of guest memory, anonymous, private, without reserve. Its address in this
/// process and that in the guest differ by a multiple of [`HUGE_PAGE_BYTES`].
#[derive(Debug)]
pub struct Region {
    start: GuestAddress,
    bytes: usize,
    /// With a huge page to spare, since the kernel takes no wishes for an address that it is free
    /// to choose; nobody touches what is spare.
    mapping: MmapRegion,
    /// Where the range begins in the mapping.
    offset: usize,
}

impl Region {
    /// Maps `bytes` that the guest has at `start`.
    pub(super) fn map(start: GuestAddress, bytes: usize) -> Result<Self, MmapRegionError> {
        let mapping = MmapRegion::new(bytes.saturating_add(HUGE_PAGE_BYTES))?;
        let gap = (start.0 as usize).wrapping_sub(mapping.as_ptr() as usize);
        Ok(Self {
            start,
            bytes,
            mapping,
            offset: gap % HUGE_PAGE_BYTES,
        })
    }

    /// Its first byte in this process.
    pub fn as_ptr(&self) -> *mut u8 {
        self.mapping.as_ptr().wrapping_add(self.offset)
    }
}

impl GuestMemoryRegion for Region {
    type B = ();

    fn len(&self) -> GuestUsize {
        self.bytes as GuestUsize
    }

    fn start_addr(&self) -> GuestAddress {
        self.start
    }

    fn bitmap(&self) {}

    fn get_slice(
        &self,
        offset: MemoryRegionAddress,
        count: usize,
    ) -> Result<VolatileSlice<'_>, GuestMemoryError> {
        let whole = self.mapping.get_slice(self.offset, self.bytes)?;
        Ok(whole.subslice(offset.0 as usize, count)?)
    }
}

impl GuestMemoryRegionBytes for Region {}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE_BYTES: usize = 4096;

    #[test]
    fn both_addresses_have_the_same_place_in_a_huge_page() {
        // An odd number of pages each, so that the next one is not well placed by chance.
        for (start, bytes) in [
            (0, HUGE_PAGE_BYTES),
            (0, 129 * PAGE_BYTES),
            (0x10_0000, 3 * HUGE_PAGE_BYTES + PAGE_BYTES),
            (1 << 32, PAGE_BYTES),
        ] {
            let region = Region::map(GuestAddress(start), bytes).unwrap();
            assert_eq!(
                region.as_ptr() as usize % HUGE_PAGE_BYTES,
                start as usize % HUGE_PAGE_BYTES,
                "{start:#x}, {bytes:#x}"
            );
        }
    }

    #[test]
    fn what_is_spare_is_not_the_guests() {
        let region = Region::map(GuestAddress(0), PAGE_BYTES).unwrap();
        assert_eq!(region.len(), PAGE_BYTES as u64);
        let last = MemoryRegionAddress(PAGE_BYTES as u64 - 1);
        assert!(region.get_slice(last, 1).is_ok());
        for (offset, count) in [(last, 2), (MemoryRegionAddress(PAGE_BYTES as u64), 1)] {
            assert!(region.get_slice(offset, count).is_err(), "{offset:?}");
        }
        assert!(region.get_slice(MemoryRegionAddress(u64::MAX), 2).is_err());
    }

    #[test]
    fn no_room_is_an_error() {
        assert!(Region::map(GuestAddress(0), usize::MAX).is_err());
        assert!(Region::map(GuestAddress(0), 1 << 60).is_err());
    }
}
