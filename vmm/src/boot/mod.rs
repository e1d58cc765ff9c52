//! From a kernel image to a machine whose first instruction is the kernel's.

mod acpi;
pub mod cmdline;
pub mod initrd;
pub mod kernel;
mod memory_map;
mod mp_table;
pub(crate) mod page_tables;
mod place;
mod pvh;
mod zero_page;

use std::ffi::CStr;

use vm_memory::{Bytes, GuestAddress, GuestMemoryError};

pub use mp_table::ISA_INTERRUPTS;
pub use page_tables::MAPPED_BYTES;
pub use place::Backing;

use crate::layout;
use crate::memory::GuestMemory;
use crate::vcpu::VcpuCount;
use initrd::Initrd;
use kernel::{Entry, Loaded};

/// Where a virtio-mmio device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VirtioPlace {
    /// Guest-physical address of its first register; below 4 GiB.
    pub base: u64,
    /// The interrupt that it raises.
    pub gsi: u32,
}

/// What there is that a kernel can't find without being told.
#[derive(Clone, Copy, Debug)]
pub struct Hardware<'a> {
    /// Its processors.
    pub vcpus: VcpuCount,
    /// Its virtio devices.
    pub virtio: &'a [VirtioPlace],
}

/// What a kernel is handed besides itself.
#[derive(Clone, Copy, Debug)]
struct Handover {
    /// Size of the command line, with its final NUL.
    command_line_bytes: u32,
    initrd: Option<Initrd>,
}

/// How the vCPU must be set up to enter the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// In 64-bit mode, on page tables.
    Long {
        /// The first instruction.
        rip: u64,
        /// The top page table.
        cr3: u64,
    },
    /// In 32-bit protected mode, without paging.
    Pvh {
        /// The first instruction.
        rip: u32,
    },
}

/// Writes everything that `kernel`, already in memory, finds there when it starts.
///
/// # Errors
///
/// When guest memory is smaller than a PC's base memory.
pub fn hand_over(
    memory: &GuestMemory,
    kernel: &Loaded,
    command_line: &CStr,
    initrd: Option<Initrd>,
    hardware: &Hardware<'_>,
) -> Result<Start, GuestMemoryError> {
    let command_line = command_line.to_bytes_with_nul();
    memory.write_slice(command_line, GuestAddress(layout::COMMAND_LINE))?;
    let handover = Handover {
        // A `CommandLine` is at most 2 KiB.
        command_line_bytes: command_line.len() as u32,
        initrd,
    };
    mp_table::write(memory, hardware.vcpus)?;
    acpi::write(memory, hardware)?;
    match kernel.entry {
        Entry::Long(rip) => {
            zero_page::write(memory, kernel.setup_header, &handover)?;
            let cr3 = page_tables::write(memory)?;
            Ok(Start::Long { rip, cr3 })
        }
        Entry::Pvh(rip) => {
            pvh::write(memory, &handover)?;
            Ok(Start::Pvh { rip })
        }
    }
}
