//! The guest-physical address space, from bottom to top.
//!
//! ```text
//! 0x0000_0000  RAM: what the boot protocol hands over lies below 640 KiB
//! 0x000a_0000  hole of 384 KiB, as on every PC, with the ACPI tables
//! 0x0010_0000  RAM: the kernel, then everything else
//! 0xc000_0000  hole of 1 GiB: devices, and what KVM itself needs
//! 0x1_0000_0000  RAM, if there is more than 3 GiB
//! ```

/// Where the boot GDT lies, in the first page behind the real-mode interrupt vectors.
pub const GDT: u64 = 0x500;
/// PVH: `hvm_start_info`, with its module and memory map lists behind it.
pub const PVH_START_INFO: u64 = 0x6000;
/// The zero page, `struct boot_params`: one page.
pub const ZERO_PAGE: u64 = 0x7000;
/// The first of the boot page tables: three pages.
pub const PAGE_TABLES: u64 = 0x9000;
/// Where the boot stack ends; it grows down towards [`ZERO_PAGE`]'s end.
pub const BOOT_STACK_TOP: u64 = 0x8ff0;
/// The kernel's command line: as far as [`MP_TABLE`] if need be.
pub const COMMAND_LINE: u64 = 0x2_0000;
/// The MP table: 7 KiB, which the most processors need.
pub const MP_TABLE: u64 = 0x9_e000;
/// The pointer to the MP table, in the last KiB of base memory: the first place where Linux looks
/// that is not the extended BIOS data area (`arch/x86/kernel/mpparse.c`, `mpparse_find_mptable`).
pub const MP_POINTER: u64 = 0x9_fc00;
/// End of base memory.
pub const BASE_MEMORY_END: u64 = 0xa_0000;
/// The ACPI tables, where a PC's firmware has them and Linux looks if it is not told: up to
/// [`HIGH_MEMORY`] if need be.
pub const ACPI_TABLES: u64 = 0xe_0000;
/// Where memory goes on behind the PC's hole.
pub const HIGH_MEMORY: u64 = 0x10_0000;

/// Start of the hole below 4 GiB.
pub const HOLE: u64 = 0xc000_0000;
/// End of the hole below 4 GiB.
pub const HOLE_END: u64 = 0x1_0000_0000;

/// The first virtio-mmio device, behind the doorbell's page; the others follow, a page each.
pub const VIRTIO: u64 = guest_protocol::DOORBELL_GPA + guest_protocol::DOORBELL_BYTES;
/// Size of a virtio-mmio device's registers.
pub const VIRTIO_BYTES: u64 = 0x1000;

/// The IO-APIC, where KVM's in-kernel one answers.
pub const IO_APIC: u64 = 0xfec0_0000;
/// The local APIC, where KVM's in-kernel one answers.
pub const LOCAL_APIC: u64 = 0xfee0_0000;
/// The page that VT-x needs for real mode (`KVM_SET_IDENTITY_MAP_ADDR`).
pub const IDENTITY_MAP: u64 = 0xfffb_c000;
/// The three pages that VT-x needs for real mode (`KVM_SET_TSS_ADDR`), right behind.
pub const TSS: u64 = 0xfffb_d000;

/// Where the guest's serial port is, COM1: for debugging only.
pub const SERIAL_PORT: u16 = 0x3f8;
/// Number of the serial port's registers.
pub const SERIAL_PORT_COUNT: u16 = 8;

/// Where a kernel in an emulated ring 0 has its registers saved, at a place where no PC has a
/// device: `FPU_EMULATED_SAVE` in `guest-images/kernel/patches`.
pub const EXTENDED_STATE_SAVE_PORT: u16 = 0x7a0;
/// Where it has them loaded: `FPU_EMULATED_LOAD` there.
pub const EXTENDED_STATE_LOAD_PORT: u16 = 0x7a4;
