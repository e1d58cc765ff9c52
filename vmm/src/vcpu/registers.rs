//! The state in which the processor starts.

use std::fmt;

use kvm_bindings::{Msrs, kvm_fpu, kvm_msr_entry, kvm_regs, kvm_segment, kvm_sregs};
use kvm_ioctls::VcpuFd;
use vm_memory::{Bytes, GuestAddress};

use super::{VcpuError, step};
use crate::boot::Start;
use crate::layout;
use crate::memory::GuestMemory;

/// The general registers, to be shown in an error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Registers(pub kvm_regs);

impl fmt::Display for Registers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let r = &self.0;
        let named = [
            ("rip", r.rip),
            ("rsp", r.rsp),
            ("rflags", r.rflags),
            ("rax", r.rax),
            ("rbx", r.rbx),
            ("rcx", r.rcx),
            ("rdx", r.rdx),
            ("rsi", r.rsi),
            ("rdi", r.rdi),
            ("rbp", r.rbp),
            ("r8", r.r8),
            ("r9", r.r9),
            ("r10", r.r10),
            ("r11", r.r11),
            ("r12", r.r12),
            ("r13", r.r13),
            ("r14", r.r14),
            ("r15", r.r15),
        ];
        for (index, (name, value)) in named.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{name}={value:#x}")?;
        }
        Ok(())
    }
}

// Intel SDM volume 4.
const IA32_MISC_ENABLE: u32 = 0x1a0;
const MISC_ENABLE_FAST_STRINGS: u64 = 1;
const IA32_MTRR_DEF_TYPE: u32 = 0x2ff;
const MTRR_ENABLE: u64 = 1 << 11;
const MTRR_WRITE_BACK: u64 = 6;

/// Sets the MSRs that a PC's firmware would. One that the host refuses is left as it is: the
/// guest works without, or says what it misses.
pub fn set_msrs(vcpu: &VcpuFd) -> Result<(), VcpuError> {
    for (index, data) in [
        // Without it, Linux takes all memory for uncacheable.
        (IA32_MTRR_DEF_TYPE, MTRR_ENABLE | MTRR_WRITE_BACK),
        (IA32_MISC_ENABLE, MISC_ENABLE_FAST_STRINGS),
    ] {
        let entry = kvm_msr_entry {
            index,
            data,
            ..Default::default()
        };
        let msrs = Msrs::from_entries(&[entry]).map_err(|_| VcpuError {
            step: "list the MSRs",
            cause: kvm_ioctls::Error::new(libc::ENOMEM),
        })?;
        if step("set the MSRs", vcpu.set_msrs(&msrs))? == 0 {
            tracing::debug!("MSR {index:#x} is refused by the host");
        }
    }
    Ok(())
}

/// The FPU as `FNINIT` and a reset leave it: all exceptions masked.
pub fn set_fpu(vcpu: &VcpuFd) -> Result<(), VcpuError> {
    let fpu = kvm_fpu {
        fcw: 0x37f,
        mxcsr: 0x1f80,
        ..Default::default()
    };
    step("set the FPU", vcpu.set_fpu(&fpu))
}

/// Sets the local APIC's pins as firmware would: the legacy interrupt controller on LINT0, NMI
/// on LINT1 (Intel SDM volume 3, 11.5.1).
pub fn set_local_apic(vcpu: &VcpuFd) -> Result<(), VcpuError> {
    const LINT0: usize = 0x350;
    const LINT1: usize = 0x360;
    const DELIVER_EXT_INT: u32 = 7 << 8;
    const DELIVER_NMI: u32 = 4 << 8;
    let mut apic = step("read the local APIC", vcpu.get_lapic())?;
    for (register, mode) in [(LINT0, DELIVER_EXT_INT), (LINT1, DELIVER_NMI)] {
        for (byte, value) in apic.regs[register..].iter_mut().zip(mode.to_le_bytes()) {
            *byte = value as _;
        }
    }
    step("set the local APIC", vcpu.set_lapic(&apic))
}

// Intel SDM volume 3, 2.5 and 2.2.1.
const CR0_PROTECTED: u64 = 1 << 0;
const CR0_EXTENSION_TYPE: u64 = 1 << 4;
const CR0_PAGING: u64 = 1 << 31;
const CR4_PHYSICAL_ADDRESS_EXTENSION: u64 = 1 << 5;
const EFER_LONG_MODE_ENABLE: u64 = 1 << 8;
const EFER_LONG_MODE_ACTIVE: u64 = 1 << 10;
/// Bit 1 is always set; interrupts are off.
const RFLAGS: u64 = 1 << 1;

// Selectors: what Linux calls __BOOT_CS, __BOOT_DS and __BOOT_TSS (arch/x86/include/asm/segment.h).
const CODE_SELECTOR: u16 = 0x10;
const DATA_SELECTOR: u16 = 0x18;
const TASK_SELECTOR: u16 = 0x20;

/// Sets the registers, and writes the GDT that they refer to.
pub fn set_start(vcpu: &VcpuFd, memory: &GuestMemory, start: Start) -> Result<(), VcpuError> {
    let mut sregs = step("read the special registers", vcpu.get_sregs())?;
    let mut regs = kvm_regs {
        rflags: RFLAGS,
        ..Default::default()
    };
    match start {
        // Documentation/arch/x86/boot.rst, "64-bit boot protocol".
        Start::Long { rip, cr3 } => {
            set_segments(&mut sregs, code(true));
            sregs.cr3 = cr3;
            sregs.cr4 = CR4_PHYSICAL_ADDRESS_EXTENSION;
            sregs.cr0 = CR0_PROTECTED | CR0_EXTENSION_TYPE | CR0_PAGING;
            sregs.efer = EFER_LONG_MODE_ENABLE | EFER_LONG_MODE_ACTIVE;
            regs.rip = rip;
            regs.rsi = layout::ZERO_PAGE;
            regs.rsp = layout::BOOT_STACK_TOP;
            regs.rbp = layout::BOOT_STACK_TOP;
        }
        // https://xenbits.xen.org/docs/unstable/misc/pvh.html
        Start::Pvh { rip } => {
            set_segments(&mut sregs, code(false));
            sregs.cr4 = 0;
            sregs.cr0 = CR0_PROTECTED | CR0_EXTENSION_TYPE;
            sregs.efer = 0;
            regs.rip = rip.into();
            regs.rbx = layout::PVH_START_INFO;
        }
    }
    write_gdt(memory, &sregs)?;
    step("set the special registers", vcpu.set_sregs(&sregs))?;
    step("set the registers", vcpu.set_regs(&regs))
}

fn code(long: bool) -> kvm_segment {
    kvm_segment {
        limit: u32::MAX,
        selector: CODE_SELECTOR,
        // Execute, read, accessed.
        type_: 0b1011,
        present: 1,
        s: 1,
        l: long.into(),
        db: (!long).into(),
        g: 1,
        ..Default::default()
    }
}

fn data() -> kvm_segment {
    kvm_segment {
        selector: DATA_SELECTOR,
        // Read, write, accessed.
        type_: 0b0011,
        l: 0,
        db: 1,
        ..code(false)
    }
}

fn task() -> kvm_segment {
    kvm_segment {
        limit: 0x67,
        selector: TASK_SELECTOR,
        // A busy TSS.
        type_: 0b1011,
        present: 1,
        ..Default::default()
    }
}

fn set_segments(sregs: &mut kvm_sregs, code: kvm_segment) {
    sregs.cs = code;
    let data = data();
    sregs.ds = data;
    sregs.es = data;
    sregs.fs = data;
    sregs.gs = data;
    sregs.ss = data;
    sregs.tr = task();
    sregs.gdt.base = layout::GDT;
    sregs.gdt.limit = TASK_SELECTOR + 7;
    // No interrupt is expected before the kernel has a table of its own.
    sregs.idt.base = 0;
    sregs.idt.limit = 0;
}

/// Writes descriptors for the segments that are already loaded: what reloads them finds the same.
fn write_gdt(memory: &GuestMemory, sregs: &kvm_sregs) -> Result<(), VcpuError> {
    for segment in [&sregs.cs, &sregs.ds, &sregs.tr] {
        let address = layout::GDT + u64::from(segment.selector);
        memory
            .write_obj(descriptor(segment), GuestAddress(address))
            .map_err(|_| VcpuError {
                step: "write the GDT",
                cause: kvm_ioctls::Error::new(libc::EFAULT),
            })?;
    }
    Ok(())
}

/// A segment as it stands in a GDT (Intel SDM volume 3, 3.4.5).
fn descriptor(segment: &kvm_segment) -> u64 {
    let limit = if segment.g == 1 {
        u64::from(segment.limit) >> 12
    } else {
        u64::from(segment.limit)
    };
    let flag = |bit: u8, at: u32| u64::from(bit) << at;
    (limit & 0xffff)
        | (segment.base & 0xff_ffff) << 16
        | flag(segment.type_, 40)
        | flag(segment.s, 44)
        | flag(segment.dpl, 45)
        | flag(segment.present, 47)
        | (limit >> 16 & 0xf) << 48
        | flag(segment.l, 53)
        | flag(segment.db, 54)
        | flag(segment.g, 55)
        | (segment.base >> 24 & 0xff) << 56
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_those_of_linux() {
        // GDT_ENTRY_INIT in Linux for the same segments, arch/x86/kernel/cpu/common.c.
        assert_eq!(descriptor(&code(true)), 0x00af_9b00_0000_ffff);
        assert_eq!(descriptor(&code(false)), 0x00cf_9b00_0000_ffff);
        assert_eq!(descriptor(&data()), 0x00cf_9300_0000_ffff);
        assert_eq!(descriptor(&task()), 0x0000_8b00_0000_0067);
    }
}
