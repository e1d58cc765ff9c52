//! The MP table: without ACPI, the only thing that tells a kernel of its interrupt controllers.
//!
//! Intel MultiProcessor Specification 1.4, chapter 4. The processors, one ISA bus, one IO-APIC
//! to whose first pins the ISA interrupts go one to one, as KVM routes them.

use vm_memory::{Bytes, GuestAddress, GuestMemoryError};

use crate::layout;
use crate::memory::GuestMemory;
use crate::vcpu::VcpuCount;

/// Version 1.4.
const SPEC_REVISION: u8 = 4;
/// What KVM's local APIC and IO-APIC say they are.
const APIC_VERSION: u8 = 0x14;
/// The IO-APIC's ID, which no processor may have.
pub const IO_APIC_ID: u8 = VcpuCount::MAX;
const ISA_BUS_ID: u8 = 0;
/// Interrupts of the ISA bus.
pub const ISA_INTERRUPTS: u8 = 16;

const HEADER_BYTES: usize = 44;

/// Writes the table to [`layout::MP_TABLE`], and where it is to [`layout::MP_POINTER`].
///
/// # Errors
///
/// When guest memory ends before it.
pub fn write(memory: &GuestMemory, vcpus: VcpuCount) -> Result<(), GuestMemoryError> {
    memory.write_slice(&configuration(vcpus), GuestAddress(layout::MP_TABLE))?;
    memory.write_slice(&floating_pointer(), GuestAddress(layout::MP_POINTER))
}

/// The structure that is looked for, section 4.1.
fn floating_pointer() -> Vec<u8> {
    let mut pointer = b"_MP_".to_vec();
    pointer.extend((layout::MP_TABLE as u32).to_le_bytes());
    // Its length in units of 16 bytes, the revision, a checksum, and no features.
    pointer.extend([1, SPEC_REVISION, 0, 0, 0, 0, 0, 0]);
    pointer[10] = checksum(&pointer);
    pointer
}

/// The configuration table with its entries, in the order that the specification demands:
/// sections 4.2 and 4.3.
fn configuration(vcpus: VcpuCount) -> Vec<u8> {
    let mut entries = Entries::default();
    vcpus.ids().for_each(|id| entries.add(processor(id)));
    entries.add(isa_bus());
    entries.add(io_apic());
    for irq in 0..ISA_INTERRUPTS {
        entries.add(interrupt(
            IO_INTERRUPT,
            Kind::Vectored,
            irq,
            IO_APIC_ID,
            irq,
        ));
    }
    entries.add(interrupt(LOCAL_INTERRUPT, Kind::ExtInt, 0, ALL_CPUS, 0));
    entries.add(interrupt(LOCAL_INTERRUPT, Kind::Nmi, 0, ALL_CPUS, 1));

    let length = (HEADER_BYTES + entries.bytes.len()) as u16;
    let mut table = b"PCMP".to_vec();
    table.extend(length.to_le_bytes());
    table.extend([SPEC_REVISION, 0]);
    table.extend(b"JAULA   ");
    table.extend(b"MICROVM     ");
    table.extend([0; 6]);
    table.extend(entries.count.to_le_bytes());
    table.extend((layout::LOCAL_APIC as u32).to_le_bytes());
    table.extend([0; 4]);
    table.extend(entries.bytes);
    table[7] = checksum(&table);
    table
}

#[derive(Default)]
struct Entries {
    count: u16,
    bytes: Vec<u8>,
}

impl Entries {
    fn add<const N: usize>(&mut self, entry: [u8; N]) {
        self.count += 1;
        self.bytes.extend(entry);
    }
}

/// Entry type 0: a processor, enabled; the first boots. Its features are CPUID's to tell.
fn processor(id: u8) -> [u8; 20] {
    const ENABLED: u8 = 1;
    const BOOT: u8 = 2;
    let mut entry = [0; 20];
    entry[1] = id;
    entry[2] = APIC_VERSION;
    entry[3] = if id == 0 { ENABLED | BOOT } else { ENABLED };
    entry
}

/// Entry type 1.
fn isa_bus() -> [u8; 8] {
    let mut entry = *b"\x01\x00ISA   ";
    entry[1] = ISA_BUS_ID;
    entry
}

/// Entry type 2.
fn io_apic() -> [u8; 8] {
    const ENABLED: u8 = 1;
    let [a, b, c, d] = (layout::IO_APIC as u32).to_le_bytes();
    [2, IO_APIC_ID, APIC_VERSION, ENABLED, a, b, c, d]
}

const IO_INTERRUPT: u8 = 3;
const LOCAL_INTERRUPT: u8 = 4;
const ALL_CPUS: u8 = 0xff;

#[derive(Clone, Copy)]
enum Kind {
    Vectored = 0,
    Nmi = 1,
    ExtInt = 3,
}

/// Entry types 3 and 4, of polarity and trigger mode as is usual on the ISA bus.
fn interrupt(entry: u8, kind: Kind, irq: u8, apic: u8, pin: u8) -> [u8; 8] {
    [entry, kind as u8, 0, 0, ISA_BUS_ID, irq, apic, pin]
}

/// What makes the sum of all bytes 0.
fn checksum(bytes: &[u8]) -> u8 {
    bytes
        .iter()
        .fold(0u8, |sum, byte| sum.wrapping_add(*byte))
        .wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(bytes: &[u8]) -> u8 {
        bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
    }

    const COUNTS: [usize; 3] = [1, 2, VcpuCount::MAX as usize];

    fn tables() -> impl Iterator<Item = (usize, Vec<u8>)> {
        COUNTS
            .map(|count| (count, configuration(VcpuCount::new(count).unwrap())))
            .into_iter()
    }

    #[test]
    fn all_checksums_are_right() {
        assert_eq!(sum(&floating_pointer()), 0);
        for (count, table) in tables() {
            assert_eq!(sum(&table), 0, "{count}");
        }
    }

    #[test]
    fn the_header_counts_what_follows_it_and_each_processor_is_there() {
        for (vcpus, table) in tables() {
            let length = u16::from_le_bytes([table[4], table[5]]);
            assert_eq!(usize::from(length), table.len());
            let mut entries = &table[HEADER_BYTES..];
            let mut count = 0;
            let mut processors = Vec::new();
            while let Some(kind) = entries.first() {
                if *kind == 0 {
                    processors.push(usize::from(entries[1]));
                }
                entries = &entries[if *kind == 0 { 20 } else { 8 }..];
                count += 1;
            }
            assert_eq!(u16::from_le_bytes([table[34], table[35]]), count);
            assert_eq!(processors, (0..vcpus).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_largest_table_ends_before_the_pointer_to_it() {
        for (count, table) in tables() {
            let end = layout::MP_TABLE + table.len() as u64;
            assert!(end <= layout::MP_POINTER, "{count}: {end:#x}");
        }
        let end = layout::MP_POINTER + floating_pointer().len() as u64;
        assert!(end <= layout::BASE_MEMORY_END);
    }
}
