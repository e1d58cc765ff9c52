//! The page tables that a 64-bit kernel starts on.

use vm_memory::{Bytes, GuestAddress, GuestMemoryError};

use crate::layout;
use crate::memory::GuestMemory;

/// How much of the address space they cover, one to one: a kernel builds its own before it
/// leaves this.
pub const MAPPED_BYTES: u64 = 1 << 30;

const ENTRIES: u64 = 512;
const TABLE_BYTES: u64 = ENTRIES * 8;
const LARGE_PAGE_BYTES: u64 = 2 << 20;

// Intel SDM volume 3, section 4.5 (4-level paging), table 4-15 ff.
const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const LARGE: u64 = 1 << 7;

/// Writes an identity map of the first GiB, in pages of 2 MiB, and returns what CR3 takes.
///
/// # Errors
///
/// When guest memory ends before [`layout::PAGE_TABLES`].
pub fn write(memory: &GuestMemory) -> Result<u64, GuestMemoryError> {
    let [pml4, pdpt, pd] = [0, 1, 2].map(|n| layout::PAGE_TABLES + n * TABLE_BYTES);
    memory.write_obj(pdpt | PRESENT | WRITABLE, GuestAddress(pml4))?;
    memory.write_obj(pd | PRESENT | WRITABLE, GuestAddress(pdpt))?;
    let mut table = [0; TABLE_BYTES as usize];
    for (page, entry) in (0..ENTRIES).zip(table.chunks_exact_mut(8)) {
        let mapping = (page * LARGE_PAGE_BYTES) | PRESENT | WRITABLE | LARGE;
        entry.copy_from_slice(&mapping.to_le_bytes());
    }
    memory.write_slice(&table, GuestAddress(pd))?;
    Ok(pml4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::memory;

    /// What the processor does with an address, down to a large page.
    fn walk(memory: &GuestMemory, cr3: u64, address: u64) -> Option<u64> {
        const FRAME: u64 = 0x000f_ffff_ffff_f000;
        let mut table = cr3;
        for shift in [39, 30, 21] {
            let index = (address >> shift) & (ENTRIES - 1);
            let entry: u64 = memory.read_obj(GuestAddress(table + index * 8)).unwrap();
            if entry & (PRESENT | WRITABLE) != PRESENT | WRITABLE {
                return None;
            }
            table = entry & FRAME;
            if entry & LARGE != 0 {
                return Some(table + address % LARGE_PAGE_BYTES);
            }
        }
        None
    }

    proptest! {
        #[test]
        fn the_first_gib_and_no_more_is_mapped_one_to_one(address in 0..1u64 << 47) {
            let memory = memory::allocate(1 << 20).unwrap();
            let cr3 = write(&memory).unwrap();
            let low = address % MAPPED_BYTES;
            prop_assert_eq!(walk(&memory, cr3, low), Some(low));
            let high = address | MAPPED_BYTES;
            prop_assert_eq!(walk(&memory, cr3, high), None);
        }
    }
}
