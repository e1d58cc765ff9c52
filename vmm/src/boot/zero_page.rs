//! The 64-bit boot protocol's way of telling a kernel what it needs: `struct boot_params`
//! (`Documentation/arch/x86/boot.rst` and `zero-page.rst` in Linux).

use linux_loader::loader::bootparam::{boot_e820_entry, boot_params, setup_header};
use vm_memory::{Bytes, GuestAddress, GuestMemoryError};

use super::{Handover, memory_map};
use crate::layout;
use crate::memory::GuestMemory;

/// `boot_flag` and `header` of a setup header, by which Linux knows that there is one.
const BOOT_FLAG: u16 = 0xaa55;
const HEADER_MAGIC: u32 = 0x5372_6448;
/// "Undefined": a loader that has no number assigned.
const TYPE_OF_LOADER: u8 = 0xff;
/// `LOADED_HIGH`: the kernel lies above 1 MiB.
const LOADED_HIGH: u8 = 1;

/// Writes the zero page to [`layout::ZERO_PAGE`]. `header` is a bzImage's own; an ELF image has
/// none.
///
/// # Errors
///
/// When guest memory ends before it.
pub fn write(
    memory: &GuestMemory,
    header: Option<setup_header>,
    handover: &Handover,
) -> Result<(), GuestMemoryError> {
    memory.write_obj(
        boot_params(memory, header, handover),
        GuestAddress(layout::ZERO_PAGE),
    )
}

fn boot_params(
    memory: &GuestMemory,
    header: Option<setup_header>,
    handover: &Handover,
) -> boot_params {
    let mut params = boot_params {
        hdr: header.unwrap_or(setup_header {
            boot_flag: BOOT_FLAG,
            header: HEADER_MAGIC,
            ..Default::default()
        }),
        ..Default::default()
    };
    params.acpi_rsdp_addr = layout::ACPI_TABLES;
    params.hdr.type_of_loader = TYPE_OF_LOADER;
    params.hdr.loadflags |= LOADED_HIGH;
    // All of these lie below 4 GiB.
    params.hdr.cmd_line_ptr = layout::COMMAND_LINE as u32;
    params.hdr.cmdline_size = handover.command_line_bytes;
    if let Some(initrd) = handover.initrd {
        params.hdr.ramdisk_image = initrd.start;
        params.hdr.ramdisk_size = initrd.bytes;
    }
    let mut table = [boot_e820_entry::default(); _];
    let map = memory_map::of(memory);
    for (slot, entry) in table.iter_mut().zip(&map) {
        *slot = boot_e820_entry {
            addr: entry.start,
            size: entry.bytes,
            r#type: entry.kind as u32,
        };
    }
    params.e820_entries = map.len().min(table.len()) as u8;
    params.e820_table = table;
    params
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::Initrd;
    use crate::memory;

    const HANDOVER: Handover = Handover {
        command_line_bytes: 11,
        initrd: Some(Initrd {
            start: 0x0700_0000,
            bytes: 4711,
        }),
    };

    #[test]
    fn it_is_exactly_one_page() {
        assert_eq!(size_of::<boot_params>(), 4096);
    }

    #[test]
    fn it_says_where_command_line_initrd_and_acpi_tables_are() {
        let params = boot_params(&memory::allocate(128 << 20).unwrap(), None, &HANDOVER);
        assert_eq!({ params.acpi_rsdp_addr }, layout::ACPI_TABLES);
        let header = params.hdr;
        assert_eq!({ header.cmd_line_ptr }, layout::COMMAND_LINE as u32);
        assert_eq!({ header.ramdisk_image }, 0x0700_0000);
        assert_eq!({ header.ramdisk_size }, 4711);
        assert_eq!({ header.header }, HEADER_MAGIC);
    }

    #[test]
    fn a_kernels_own_header_is_kept() {
        let own = setup_header {
            version: 0x20f,
            init_size: 42,
            ..Default::default()
        };
        let params = boot_params(&memory::allocate(128 << 20).unwrap(), Some(own), &HANDOVER);
        let header = params.hdr;
        assert_eq!({ header.version }, 0x20f);
        assert_eq!({ header.init_size }, 42);
        assert_eq!(header.type_of_loader, TYPE_OF_LOADER);
    }

    #[test]
    fn the_memory_map_is_all_there() {
        let memory = memory::allocate(5 << 30).unwrap();
        let params = boot_params(&memory, None, &HANDOVER);
        let map = memory_map::of(&memory);
        assert_eq!(usize::from(params.e820_entries), map.len());
        let table = params.e820_table;
        for (slot, entry) in table.iter().zip(map) {
            assert_eq!(({ slot.addr }, { slot.size }), (entry.start, entry.bytes));
        }
    }
}
