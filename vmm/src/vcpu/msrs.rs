//! The model-specific registers that a saved processor keeps.

use kvm_bindings::{Msrs, kvm_msr_entry};
use kvm_ioctls::{Kvm, VcpuFd};
use serde::{Deserialize, Serialize};

use super::{VcpuError, step};

/// One register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Msr {
    /// Its address.
    pub index: u32,
    /// What is in it.
    pub data: u64,
}

/// The most that a state may have, several times as many as KVM lists.
pub const MAX: usize = 1024;
/// As many go into a call at most, which KVM wants below 256 (`MAX_IO_MSRS`).
const A_CALL: usize = 128;

// Intel SDM volume 4, AMD APM volume 2 appendix A, and Documentation/virt/kvm/x86/msr.rst.
pub const TSC: u32 = 0x10;
pub const TSC_DEADLINE: u32 = 0x6e0;
pub const KVM_SYSTEM_TIME: u32 = 0x4b56_4d01;
const SYSENTER_CS: u32 = 0x174;
const SYSENTER_ESP: u32 = 0x175;
const SYSENTER_EIP: u32 = 0x176;
const PAT: u32 = 0x277;
const XSS: u32 = 0xda0;
const STAR: u32 = 0xc000_0081;
const LSTAR: u32 = 0xc000_0082;
const CSTAR: u32 = 0xc000_0083;
const SYSCALL_MASK: u32 = 0xc000_0084;
const KERNEL_GS_BASE: u32 = 0xc000_0102;
const TSC_AUX: u32 = 0xc000_0103;

/// Without these a guest can't go on, so a host must take them. EFER, the APIC's base and the
/// bases of FS and GS are as needed, and come with the special registers.
const ESSENTIAL: &[u32] = &[
    TSC,
    SYSENTER_CS,
    SYSENTER_ESP,
    SYSENTER_EIP,
    PAT,
    TSC_DEADLINE,
    XSS,
    KVM_SYSTEM_TIME,
    STAR,
    LSTAR,
    CSTAR,
    SYSCALL_MASK,
    KERNEL_GS_BASE,
    TSC_AUX,
];

/// What `KVM_GET_MSR_INDEX_LIST` may leave out: the memory types, and KVM's own registers, whose
/// list grows.
fn unlisted() -> impl Iterator<Item = u32> {
    let fixed_ranges = [0x250, 0x258, 0x259].into_iter().chain(0x268..=0x26f);
    let ranges = (0x200..=0x20f).chain(fixed_ranges).chain([0x2ff]);
    ranges
        .chain(0x4b56_4d00..=0x4b56_4d08)
        .chain([TSC, TSC_DEADLINE])
}

/// Registers that are listed and not kept.
fn is_left_out(index: u32) -> bool {
    match index {
        // Other names of 0x4b564d00 and 0x4b564d01.
        0x11 | 0x12 => true,
        // Hyper-V's: CPUID here never offers it, and the first write makes KVM build its state.
        0x4000_0000..=0x4000_01ff => true,
        _ => false,
    }
}

/// The registers to keep.
pub fn kept(kvm: &Kvm) -> Result<Vec<u32>, VcpuError> {
    let listed = step("list the MSRs", kvm.get_msr_index_list())?;
    let mut indices: Vec<_> = listed
        .as_slice()
        .iter()
        .copied()
        .chain(unlisted())
        .collect();
    indices.retain(|index| !is_left_out(*index));
    indices.sort_unstable();
    indices.dedup();
    Ok(indices)
}

/// Reads registers, but those that the host refuses to tell.
pub fn read(vcpu: &VcpuFd, indices: &[u32]) -> Result<Vec<Msr>, VcpuError> {
    let mut read = Vec::with_capacity(indices.len());
    let mut rest = indices;
    while !rest.is_empty() {
        let asked = &rest[..rest.len().min(A_CALL)];
        let mut entries = entries(asked.iter().map(|index| Msr {
            index: *index,
            data: 0,
        }))?;
        let count = step("save the MSRs", vcpu.get_msrs(&mut entries))?;
        read.extend(entries.as_slice().iter().take(count).map(|entry| Msr {
            index: entry.index,
            data: entry.data,
        }));
        rest = behind_the_refused(rest, asked.len(), count, |index| {
            tracing::debug!("MSR {index:#x} is not told by the host");
        });
    }
    Ok(read)
}

/// Sets registers in this order. Those that the host refuses are left as they are; an essential
/// one that is refused is returned.
pub fn write(vcpu: &VcpuFd, msrs: &[Msr]) -> Result<Option<Msr>, VcpuError> {
    let mut rest = msrs;
    let mut essential = None;
    while !rest.is_empty() && essential.is_none() {
        let asked = &rest[..rest.len().min(A_CALL)];
        let entries = entries(asked.iter().copied())?;
        let count = step("restore the MSRs", vcpu.set_msrs(&entries))?;
        rest = behind_the_refused(rest, asked.len(), count, |msr| {
            if ESSENTIAL.contains(&msr.index) {
                essential = Some(msr);
            }
            tracing::debug!("MSR {:#x} is refused by the host", msr.index);
        });
    }
    Ok(essential)
}

/// KVM does `count` of the `asked` first registers of `all` and stops at one that it refuses.
/// Returns those behind it.
fn behind_the_refused<T: Copy>(
    all: &[T],
    asked: usize,
    count: usize,
    on_refused: impl FnOnce(T),
) -> &[T] {
    match all.get(count) {
        Some(refused) if count < asked => {
            on_refused(*refused);
            &all[count + 1..]
        }
        _ => &all[asked..],
    }
}

fn entries(msrs: impl Iterator<Item = Msr>) -> Result<Msrs, VcpuError> {
    let entries: Vec<_> = msrs
        .map(|msr| kvm_msr_entry {
            index: msr.index,
            data: msr.data,
            ..Default::default()
        })
        .collect();
    Msrs::from_entries(&entries).map_err(|_| VcpuError {
        step: "list the MSRs",
        cause: kvm_ioctls::Error::new(libc::E2BIG),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_skipped_and_the_rest_is_done() {
        for (asked, count, refused, rest) in [
            (3, 3, None, &[4][..]),
            (3, 0, Some(1), &[2, 3, 4]),
            (3, 2, Some(3), &[4]),
            (4, 3, Some(4), &[]),
            (4, 4, None, &[]),
        ] {
            let mut found = None;
            let left = behind_the_refused(&[1, 2, 3, 4], asked, count, |msr| found = Some(msr));
            assert_eq!((found, left), (refused, rest), "{count} of {asked}");
        }
    }
}
