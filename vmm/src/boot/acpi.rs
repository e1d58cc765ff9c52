//! ACPI tables: what tells a kernel that a distribution built of processors, interrupt controllers
//! and devices. Ours has no ACPI and reads the [MP table](super::mp_table) and its command line.
//!
//! ACPI specification 6.5, chapter 5. The machine is "hardware-reduced": it has none of the fixed
//! hardware of a PC's chipset, nor an interrupt of its own for ACPI.

use acpi_tables::aml::{
    Arg, Device, EISAName, Equal, IO, If, Interrupt, Memory32Fixed, Method, Name, Notify, Package,
    Path, ResourceTemplate, Scope,
};
use acpi_tables::fadt::{FADTBuilder, Flags};
use acpi_tables::gas::{AccessSize, AddressSpace, GAS};
use acpi_tables::madt::{
    EnabledStatus, IoApic, LocalInterruptController, MADT, ProcessorLocalApic,
};
use acpi_tables::rsdp::Rsdp;
use acpi_tables::sdt::Sdt;
use acpi_tables::xsdt::XSDT;
use acpi_tables::{Aml, aml};
use vm_memory::{Bytes, GuestAddress, GuestMemoryError};

use super::{Hardware, VirtioPlace, mp_table};
use crate::layout;
use crate::memory::GuestMemory;
use crate::power;
use crate::reset;
use crate::vcpu::VcpuCount;

const OEM: [u8; 6] = *b"JAULA ";
const MACHINE: [u8; 8] = *b"MICROVM ";
const REVISION: u32 = 1;

const POWER_BUTTON: &str = "PWRB";

/// Tables begin at multiples of this; the specification asks it of the RSDP only.
const ALIGN: u64 = 16;

/// What is written where: the first is the RSDP, which leads to all others.
type Tables = Vec<(u64, Vec<u8>)>;

/// Writes the tables to [`layout::ACPI_TABLES`], where the RSDP is then.
///
/// # Errors
///
/// When guest memory ends before them.
pub fn write(memory: &GuestMemory, hardware: &Hardware<'_>) -> Result<(), GuestMemoryError> {
    for (address, table) in tables(hardware) {
        memory.write_slice(&table, GuestAddress(address))?;
    }
    Ok(())
}

fn tables(hardware: &Hardware<'_>) -> Tables {
    let mut next = (layout::ACPI_TABLES + Rsdp::len() as u64).next_multiple_of(ALIGN);
    let mut tables = Tables::new();
    let mut place = |table: Vec<u8>| {
        let address = next;
        next = (address + table.len() as u64).next_multiple_of(ALIGN);
        tables.push((address, table));
        address
    };
    let devices = place(devices(hardware.virtio));
    let fixed = place(fixed(devices));
    let interrupts = place(interrupts(hardware.vcpus));
    let mut list = XSDT::new(OEM, MACHINE, REVISION);
    list.add_entry(fixed);
    list.add_entry(interrupts);
    let list = place(bytes(&list));
    tables.insert(0, (layout::ACPI_TABLES, bytes(&Rsdp::new(OEM, list))));
    tables
}

fn bytes(table: &dyn Aml) -> Vec<u8> {
    let mut bytes = Vec::new();
    table.to_aml_bytes(&mut bytes);
    bytes
}

/// The FADT, section 5.2.9.
fn fixed(devices: u64) -> Vec<u8> {
    /// `IAPC_BOOT_ARCH`: no VGA, no MSI, no CMOS clock; and, by bits that are not set, nothing on
    /// the ISA bus and no keyboard controller.
    const NO_VGA_MSI_OR_CMOS: u16 = 1 << 2 | 1 << 3 | 1 << 5;
    let mut table = FADTBuilder::new(OEM, MACHINE, REVISION)
        .dsdt_64(devices)
        .flag(Flags::HwReducedAcpi)
        .flag(Flags::ResetRegSup)
        // No buttons in fixed hardware: the one that there is, is a device.
        .flag(Flags::PwrButton)
        .flag(Flags::SlpButton);
    table.iapc_boot_arch = NO_VGA_MSI_OR_CMOS.into();
    table.reset_reg = byte_port(reset::PORT + reset::COMMAND);
    table.reset_value = reset::RESET;
    table.sleep_control_reg = byte_port(power::PORT);
    table.sleep_status_reg = byte_port(power::PORT + power::STATUS);
    table.hypervisor_vendor_identity = u64::from_le_bytes(*b"KVM\0\0\0\0\0").into();
    bytes(&table.finalize())
}

/// A register that is a port.
fn byte_port(port: u16) -> GAS {
    let bits = u8::BITS as u8;
    let (space, access) = (AddressSpace::SystemIo, AccessSize::ByteAccess);
    GAS::new(space, bits, 0, access, port.into())
}

/// The MADT, section 5.2.12. The ISA interrupts go one to one to the IO-APIC's first pins, which
/// needs no word.
fn interrupts(vcpus: VcpuCount) -> Vec<u8> {
    const FIRST_GSI: u32 = 0;
    let local = LocalInterruptController::Address(layout::LOCAL_APIC as u32);
    let mut table = MADT::new(OEM, MACHINE, REVISION, local);
    for id in vcpus.ids() {
        table.add_structure(ProcessorLocalApic::new(id, id, EnabledStatus::Enabled));
    }
    let address = layout::IO_APIC as u32;
    table.add_structure(IoApic::new(mp_table::IO_APIC_ID, address, FIRST_GSI));
    bytes(&table)
}

/// The DSDT, section 5.2.11.1: a program in AML that makes the tree of devices.
fn devices(virtio: &[VirtioPlace]) -> Vec<u8> {
    /// The first whose numbers have 64 bits.
    const LANGUAGE: u8 = 2;
    const HEADER_BYTES: u32 = 36;
    let mut table = Sdt::new(*b"DSDT", HEADER_BYTES, LANGUAGE, OEM, MACHINE, REVISION);
    let serial = serial_port();
    let virtio = virtio
        .iter()
        .zip(0..)
        .map(|(place, number)| virtio_device(*place, number));
    let power = [power_button(), event_device()];
    let all = [serial].into_iter().chain(power).chain(virtio);
    let all: Vec<u8> = all.flatten().collect();
    table.append_slice(&Scope::raw("_SB_".into(), all));
    table.append_slice(&soft_off());
    table.as_slice().to_vec()
}

/// COM1, without an interrupt: the port raises none, and Linux's driver polls it then.
fn serial_port() -> Vec<u8> {
    let port = layout::SERIAL_PORT;
    let ports = IO::new(port, port, 1, layout::SERIAL_PORT_COUNT as u8);
    bytes(&Device::new(
        "COM1".into(),
        vec![
            &Name::new("_HID".into(), &EISAName::new("PNP0501")),
            &Name::new("_UID".into(), &aml::ZERO),
            &Name::new("_CRS".into(), &ResourceTemplate::new(vec![&ports])),
        ],
    ))
}

/// How a machine is switched off, section 7.4.2.
fn soft_off() -> Vec<u8> {
    let state = Package::new(vec![&power::SOFT_OFF]);
    bytes(&Name::new("_S5_".into(), &state))
}

/// Section 4.8.2.2.1.2, the power button as a device.
fn power_button() -> Vec<u8> {
    bytes(&Device::new(
        POWER_BUTTON.into(),
        vec![
            &Name::new("_HID".into(), &EISAName::new("PNP0C0C")),
            &Name::new("_UID".into(), &aml::ZERO),
        ],
    ))
}

/// The device whose interrupt says that the button was pressed, section 5.6.9.
fn event_device() -> Vec<u8> {
    /// Notification of a button, section 5.6.6.
    const PRESSED: u8 = 0x80;
    let (is_consumer, is_edge, is_low, is_shared) = (true, true, false, false);
    let line = power::BUTTON_GSI;
    let interrupt = Interrupt::new(is_consumer, is_edge, is_low, is_shared, line);
    let button = Path::new(POWER_BUTTON);
    let pressed = Notify::new(&button, &PRESSED);
    let number = Arg(0);
    let is_button = Equal::new(&number, &line);
    let tell = If::new(&is_button, vec![&pressed]);
    bytes(&Device::new(
        "GED_".into(),
        vec![
            &Name::new("_HID".into(), &"ACPI0013"),
            &Name::new("_UID".into(), &aml::ZERO),
            &Name::new("_CRS".into(), &ResourceTemplate::new(vec![&interrupt])),
            &Method::new("_EVT".into(), 1, true, vec![&tell]),
        ],
    ))
}

/// A virtio-mmio device, as Linux's driver wants it (`drivers/virtio/virtio_mmio.c`).
fn virtio_device(place: VirtioPlace, number: u8) -> Vec<u8> {
    // Below 4 GiB, as all devices are.
    let registers = Memory32Fixed::new(true, place.base as u32, layout::VIRTIO_BYTES as u32);
    let (is_consumer, is_edge, is_low, is_shared) = (true, true, false, false);
    let interrupt = Interrupt::new(is_consumer, is_edge, is_low, is_shared, place.gsi);
    bytes(&Device::new(
        format!("VR{number:02X}").as_str().into(),
        vec![
            &Name::new("_HID".into(), &"LNRO0005"),
            &Name::new("_UID".into(), &number),
            // It sees what the processors wrote.
            &Name::new("_CCA".into(), &aml::ONE),
            &Name::new(
                "_CRS".into(),
                &ResourceTemplate::new(vec![&registers, &interrupt]),
            ),
        ],
    ))
}

#[cfg(test)]
mod tests;
