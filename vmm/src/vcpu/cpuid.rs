//! What the processor says of itself: the host's, as far as KVM has it, but alone.

use kvm_bindings::{CpuId, KVM_MAX_CPUID_ENTRIES};

/// The most that KVM reports.
pub const MAX_ENTRIES: usize = KVM_MAX_CPUID_ENTRIES;

/// The processor's APIC ID, in every leaf that tells it.
const APIC_ID: u32 = crate::boot::CPU_APIC_ID as u32;

// Intel SDM volume 2, CPUID, and AMD APM volume 3, appendix E.
const FEATURES: u32 = 0x1;
const FEATURES_ECX_TSC_DEADLINE: u32 = 1 << 24;
const FEATURES_ECX_HYPERVISOR: u32 = 1 << 31;
const FEATURES_EDX_HYPER_THREADING: u32 = 1 << 28;
const CACHES: u32 = 0x4;
const POWER: u32 = 0x6;
const PERFORMANCE_COUNTERS: u32 = 0xa;
const TOPOLOGY: u32 = 0xb;
const TOPOLOGY_V2: u32 = 0x1f;
const AMD_SIZES: u32 = 0x8000_0008;
const AMD_CACHES: u32 = 0x8000_001d;
const AMD_TOPOLOGY: u32 = 0x8000_001e;

/// What CPUID answers on a machine of one processor. `deadline_timer`: whether KVM's local APIC
/// has the timer that CPUID, which does not know of the APIC, leaves out.
pub fn of_one_cpu(mut cpuid: CpuId, deadline_timer: bool) -> CpuId {
    for entry in cpuid.as_mut_slice() {
        match entry.function {
            FEATURES => {
                // Bits 31-24: APIC ID; 23-16: logical processors.
                entry.ebx = entry.ebx & 0xffff | 1 << 16 | APIC_ID << 24;
                entry.ecx |= FEATURES_ECX_HYPERVISOR;
                if deadline_timer {
                    entry.ecx |= FEATURES_ECX_TSC_DEADLINE;
                }
                entry.edx &= !FEATURES_EDX_HYPER_THREADING;
            }
            // Bits 31-14: cores and threads that share the cache, less one.
            CACHES | AMD_CACHES => entry.eax &= 0x3fff,
            // No thermal sensors, no energy bias: KVM has none of their MSRs.
            POWER => (entry.eax, entry.ecx) = (0, 0),
            // A guest that does not know of the counters does not set them up.
            PERFORMANCE_COUNTERS => {
                (entry.eax, entry.ebx, entry.ecx, entry.edx) = (0, 0, 0, 0);
            }
            // One level, of type "invalid", which ends the list: one thread of one core.
            TOPOLOGY | TOPOLOGY_V2 => {
                (entry.eax, entry.ebx) = (0, 0);
                entry.ecx = entry.index & 0xff;
                entry.edx = APIC_ID;
            }
            // Bits 15-12: size of the core ID; 7-0: threads, less one.
            AMD_SIZES => entry.ecx &= !0xf0ff,
            AMD_TOPOLOGY => (entry.eax, entry.ebx, entry.ecx) = (APIC_ID, 0, 0),
            _ => {}
        }
    }
    cpuid
}

#[cfg(test)]
mod tests {
    use kvm_bindings::kvm_cpuid_entry2;

    use super::*;

    fn entry(function: u32, all: u32) -> kvm_cpuid_entry2 {
        kvm_cpuid_entry2 {
            function,
            eax: all,
            ebx: all,
            ecx: all,
            edx: all,
            ..Default::default()
        }
    }

    fn answer(function: u32, deadline_timer: bool) -> kvm_cpuid_entry2 {
        let host = CpuId::from_entries(&[entry(function, u32::MAX)]).unwrap();
        of_one_cpu(host, deadline_timer).as_slice()[0]
    }

    #[test]
    fn the_processor_is_alone() {
        assert_eq!(answer(FEATURES, true).ebx >> 16, 1);
        assert_eq!(answer(CACHES, true).eax >> 14, 0);
        assert_eq!(answer(TOPOLOGY, true).ebx, 0);
        assert_eq!(answer(AMD_SIZES, true).ecx & 0xff, 0);
    }

    #[test]
    fn the_deadline_timer_is_there_if_kvm_has_it() {
        let host = || CpuId::from_entries(&[entry(FEATURES, 0)]).unwrap();
        for there in [true, false] {
            let ecx = of_one_cpu(host(), there).as_slice()[0].ecx;
            assert_eq!(ecx & FEATURES_ECX_TSC_DEADLINE != 0, there);
        }
    }

    #[test]
    fn other_leaves_are_the_hosts() {
        assert_eq!(answer(0x7, true), entry(0x7, u32::MAX));
    }
}
