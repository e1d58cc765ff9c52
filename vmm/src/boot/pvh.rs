//! The PVH boot protocol's way of telling a kernel what it needs: `struct hvm_start_info`
//! (`include/xen/interface/hvm/start_info.h` in Linux).

use linux_loader::loader::elf::start_info::{
    XEN_HVM_START_MAGIC_VALUE, hvm_memmap_table_entry, hvm_modlist_entry, hvm_start_info,
};
use vm_memory::{Bytes, GuestAddress, GuestMemoryError};

use super::{Handover, memory_map};
use crate::layout;
use crate::memory::GuestMemory;

/// The version that has a memory map.
const VERSION: u32 = 1;

/// Writes the start info to [`layout::PVH_START_INFO`], with the two lists that it points to.
///
/// # Errors
///
/// When guest memory ends before it.
pub fn write(memory: &GuestMemory, handover: &Handover) -> Result<(), GuestMemoryError> {
    let modules = layout::PVH_START_INFO + size_of::<hvm_start_info>() as u64;
    let map = modules + size_of::<hvm_modlist_entry>() as u64;
    let mut info = hvm_start_info {
        magic: XEN_HVM_START_MAGIC_VALUE,
        version: VERSION,
        cmdline_paddr: layout::COMMAND_LINE,
        memmap_paddr: map,
        rsdp_paddr: layout::ACPI_TABLES,
        ..Default::default()
    };
    if let Some(initrd) = handover.initrd {
        info.nr_modules = 1;
        info.modlist_paddr = modules;
        let module = hvm_modlist_entry {
            paddr: initrd.start.into(),
            size: initrd.bytes.into(),
            ..Default::default()
        };
        memory.write_obj(module, GuestAddress(modules))?;
    }
    let mut address = map;
    for entry in memory_map::of(memory) {
        let entry = hvm_memmap_table_entry {
            addr: entry.start,
            size: entry.bytes,
            type_: entry.kind as u32,
            reserved: 0,
        };
        memory.write_obj(entry, GuestAddress(address))?;
        address += size_of::<hvm_memmap_table_entry>() as u64;
        info.memmap_entries += 1;
    }
    memory.write_obj(info, GuestAddress(layout::PVH_START_INFO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::Initrd;
    use crate::memory;

    #[test]
    fn all_that_it_points_to_is_there() {
        let memory = memory::allocate(128 << 20).unwrap();
        let handover = Handover {
            command_line_bytes: 11,
            initrd: Some(Initrd {
                start: 0x0700_0000,
                bytes: 4711,
            }),
        };
        write(&memory, &handover).unwrap();
        let info: hvm_start_info = memory
            .read_obj(GuestAddress(layout::PVH_START_INFO))
            .unwrap();
        assert_eq!(info.magic, XEN_HVM_START_MAGIC_VALUE);
        assert_eq!(info.rsdp_paddr, layout::ACPI_TABLES);
        assert_eq!(info.nr_modules, 1);
        let module: hvm_modlist_entry = memory.read_obj(GuestAddress(info.modlist_paddr)).unwrap();
        assert_eq!((module.paddr, module.size), (0x0700_0000, 4711));
        let expected = memory_map::of(&memory);
        assert_eq!(info.memmap_entries as usize, expected.len());
        let first: hvm_memmap_table_entry =
            memory.read_obj(GuestAddress(info.memmap_paddr)).unwrap();
        assert_eq!(
            (first.addr, first.size),
            (expected[0].start, expected[0].bytes)
        );
    }

    #[test]
    fn it_ends_before_the_zero_page() {
        let entries = memory_map::of(&memory::allocate(5 << 30).unwrap()).len();
        let bytes = size_of::<hvm_start_info>()
            + size_of::<hvm_modlist_entry>()
            + entries * size_of::<hvm_memmap_table_entry>();
        assert!(layout::PVH_START_INFO + bytes as u64 <= layout::ZERO_PAGE);
    }
}
