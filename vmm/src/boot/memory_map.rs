//! What a kernel is told of its memory: the same list for every boot protocol.

use vm_memory::{Address, GuestMemoryBackend, GuestMemoryRegion};

use crate::layout;
use crate::memory::GuestMemory;

/// What a range of the address space is. The numbers are those of the BIOS call of that name
/// (E820, ACPI specification 6.5, table 15.4), and PVH's too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Memory to be used.
    Ram = 1,
    /// Memory to be left alone.
    Reserved = 2,
}

/// A range of the address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it starts.
    pub start: u64,
    /// Its size.
    pub bytes: u64,
    /// What it is.
    pub kind: Kind,
}

/// The ranges that hold memory, lowest first; between 640 KiB and 1 MiB is none, as on a PC.
pub fn of(memory: &GuestMemory) -> Vec<Entry> {
    let range = |start: u64, end: u64, kind| Entry {
        start,
        bytes: end - start,
        kind,
    };
    let mut map = vec![
        range(0, layout::MP_TABLE, Kind::Ram),
        range(layout::MP_TABLE, layout::BASE_MEMORY_END, Kind::Reserved),
    ];
    for region in memory.iter() {
        let start = region.start_addr().raw_value();
        let end = start + region.len();
        let start = start.max(layout::HIGH_MEMORY);
        if start < end {
            map.push(range(start, end, Kind::Ram));
        }
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory;

    #[test]
    fn ranges_are_in_order_and_apart() {
        for bytes in [64 << 20, 3 << 30, 5 << 30] {
            let map = of(&memory::allocate(bytes).unwrap());
            assert!(
                map.windows(2)
                    .all(|pair| pair[0].start + pair[0].bytes <= pair[1].start),
                "{map:?}"
            );
        }
    }

    #[test]
    fn all_memory_but_the_pcs_hole_is_accounted_for() {
        let total: u64 = of(&memory::allocate(5 << 30).unwrap())
            .iter()
            .map(|entry| entry.bytes)
            .sum();
        assert_eq!(
            total,
            (5 << 30) - (layout::HIGH_MEMORY - layout::BASE_MEMORY_END)
        );
    }
}
