//! What a processor says of itself: the host's answers, as far as KVM has them, but for its place
//! among the machine's processors: they are the cores, of one thread each, of one package.

use kvm_bindings::{
    CpuId, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, KVM_MAX_CPUID_ENTRIES, kvm_cpuid_entry2,
};
use kvm_ioctls::{Cap, Kvm};

use super::{VcpuCount, VcpuError, step};

/// The most that KVM reports.
pub const MAX_ENTRIES: usize = KVM_MAX_CPUID_ENTRIES;

// Intel SDM volume 2, CPUID, and AMD APM volume 3, appendix E.
const VENDOR: u32 = 0x0;
const VENDOR_EBX_AMD: u32 = u32::from_le_bytes(*b"Auth");
const FEATURES: u32 = 0x1;
const FEATURES_ECX_TSC_DEADLINE: u32 = 1 << 24;
const FEATURES_ECX_HYPERVISOR: u32 = 1 << 31;
const FEATURES_EDX_HYPER_THREADING: u32 = 1 << 28;
const CACHES: u32 = 0x4;
const POWER: u32 = 0x6;
const PERFORMANCE_COUNTERS: u32 = 0xa;
const TOPOLOGY: u32 = 0xb;
const TOPOLOGY_V2: u32 = 0x1f;
const AMD_FEATURES: u32 = 0x8000_0001;
const AMD_FEATURES_ECX_CORES_NOT_THREADS: u32 = 1 << 1;
const AMD_SIZES: u32 = 0x8000_0008;
const AMD_CACHES: u32 = 0x8000_001d;
const AMD_TOPOLOGY: u32 = 0x8000_001e;
const AMD_TOPOLOGY_V2: u32 = 0x8000_0026;

/// What KVM lets guests on this host know.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct HostCpuid {
    entries: Vec<kvm_cpuid_entry2>,
    /// Whether KVM's local APIC has the timer that CPUID, which does not know of the APIC, leaves
    /// out.
    deadline_timer: bool,
}

impl HostCpuid {
    /// Asks KVM.
    pub fn of(kvm: &Kvm) -> Result<Self, VcpuError> {
        let entries = step("read CPUID", kvm.get_supported_cpuid(MAX_ENTRIES))?;
        Ok(Self {
            entries: entries.as_slice().to_vec(),
            deadline_timer: kvm.check_extension(Cap::TscDeadlineTimer),
        })
    }

    /// What CPUID answers on the processor `id` of `count`.
    pub fn of_cpu(&self, id: u8, count: VcpuCount) -> Result<CpuId, VcpuError> {
        CpuId::from_entries(&self.entries_of_cpu(id, count)).map_err(|_| VcpuError {
            step: "set CPUID",
            cause: kvm_ioctls::Error::new(libc::E2BIG),
        })
    }

    fn entries_of_cpu(&self, id: u8, count: VcpuCount) -> Vec<kvm_cpuid_entry2> {
        let has = |function| self.entries.iter().any(|entry| entry.function == function);
        let is_amd = self
            .entries
            .iter()
            .any(|entry| entry.function == VENDOR && entry.ebx == VENDOR_EBX_AMD);
        let place = Place { id, count, is_amd };
        let is_list = |function| matches!(function, TOPOLOGY | TOPOLOGY_V2 | AMD_TOPOLOGY_V2);
        let mut entries: Vec<_> = self
            .entries
            .iter()
            .filter(|entry| !is_list(entry.function))
            .map(|entry| self.answer(*entry, place))
            .collect();
        for function in [TOPOLOGY, TOPOLOGY_V2].into_iter().filter(|it| has(*it)) {
            entries.extend(place.levels(function));
        }
        entries
    }

    fn answer(&self, mut entry: kvm_cpuid_entry2, place: Place) -> kvm_cpuid_entry2 {
        match entry.function {
            FEATURES => {
                // Bits 31-24: APIC ID; 23-16: IDs that the package has room for.
                let room = place.id_room().min(u8::MAX.into()) << 16;
                entry.ebx = entry.ebx & 0xffff | room | u32::from(place.id) << 24;
                entry.ecx |= FEATURES_ECX_HYPERVISOR;
                if self.deadline_timer {
                    entry.ecx |= FEATURES_ECX_TSC_DEADLINE;
                }
                entry.edx &= !FEATURES_EDX_HYPER_THREADING;
                if place.has_others() {
                    entry.edx |= FEATURES_EDX_HYPER_THREADING;
                }
            }
            // Bits 31-26: cores that the package has room for, less one; 25-14: IDs that share
            // the cache, less one.
            CACHES => {
                let cores = (place.id_room() - 1).min(0x3f);
                entry.eax = entry.eax & 0x3fff | place.sharing(entry.eax) << 14 | cores << 26;
            }
            AMD_CACHES => entry.eax = entry.eax & 0x3fff | place.sharing(entry.eax) << 14,
            // No thermal sensors, no energy bias: KVM has none of their MSRs.
            POWER => (entry.eax, entry.ecx) = (0, 0),
            // A guest that does not know of the counters does not set them up.
            PERFORMANCE_COUNTERS => {
                (entry.eax, entry.ebx, entry.ecx, entry.edx) = (0, 0, 0, 0);
            }
            AMD_FEATURES if place.is_amd && place.has_others() => {
                entry.ecx |= AMD_FEATURES_ECX_CORES_NOT_THREADS;
            }
            // Bits 15-12: size of the core's part of an ID; 7-0: cores, less one.
            AMD_SIZES => {
                let cores = u32::from(place.count.get()) - 1;
                entry.ecx = entry.ecx & !0xf0ff | place.count.id_bits() << 12 | cores;
            }
            // One thread a core; one node.
            AMD_TOPOLOGY => {
                let id = u32::from(place.id);
                (entry.eax, entry.ebx, entry.ecx) = (id, id, 0);
            }
            _ => {}
        }
        entry
    }
}

/// A processor's place in its machine.
#[derive(Clone, Copy)]
struct Place {
    /// Its number, and its APIC ID in every leaf that tells it.
    id: u8,
    count: VcpuCount,
    is_amd: bool,
}

impl Place {
    fn has_others(self) -> bool {
        self.count != VcpuCount::ONE
    }

    /// How many IDs the bits allow that tell the processors apart.
    fn id_room(self) -> u32 {
        1 << self.count.id_bits()
    }

    /// How many IDs share the cache, less one, whose description begins with `eax`: all share
    /// that of the last level.
    fn sharing(self, eax: u32) -> u32 {
        const LAST_LEVEL: u32 = 3;
        match eax >> 5 & 7 {
            LAST_LEVEL => self.id_room() - 1,
            _ => 0,
        }
    }

    /// The list of levels, and its end.
    fn levels(self, function: u32) -> impl Iterator<Item = kvm_cpuid_entry2> {
        const END: u32 = 0;
        const THREADS: u32 = 1;
        const CORES: u32 = 2;
        let levels = [
            (THREADS, 0, 1),
            (CORES, self.count.id_bits(), self.count.get().into()),
            (END, 0, 0),
        ];
        (0..)
            .zip(levels)
            .map(move |(index, (kind, shift, processors))| kvm_cpuid_entry2 {
                function,
                index,
                flags: KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
                eax: shift,
                ebx: processors,
                ecx: index | kind << 8,
                edx: self.id.into(),
                ..Default::default()
            })
    }
}

#[cfg(test)]
mod tests {
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

    /// The answers of processor `id` of `count`, where the host's has all bits set.
    fn answers(function: u32, id: u8, count: usize) -> Vec<kvm_cpuid_entry2> {
        let host = HostCpuid {
            entries: vec![entry(function, u32::MAX)],
            deadline_timer: true,
        };
        host.entries_of_cpu(id, VcpuCount::new(count).unwrap())
    }

    fn answer(function: u32, id: u8, count: usize) -> kvm_cpuid_entry2 {
        answers(function, id, count)[0]
    }

    #[test]
    fn a_processor_without_others_is_alone() {
        let features = answer(FEATURES, 0, 1);
        assert_eq!(features.ebx >> 16, 1);
        assert_eq!(features.edx & FEATURES_EDX_HYPER_THREADING, 0);
        assert_eq!(answer(CACHES, 0, 1).eax >> 14, 0);
        assert_eq!(answer(AMD_SIZES, 0, 1).ecx & 0xf0ff, 0);
        let levels: Vec<_> = answers(TOPOLOGY, 0, 1)
            .iter()
            .map(|level| (level.eax, level.ebx))
            .collect();
        assert_eq!(levels, [(0, 1), (0, 1), (0, 0)]);
    }

    #[test]
    fn each_of_several_is_a_core_with_an_id_of_its_own() {
        for id in 0..3 {
            let features = answer(FEATURES, id, 3);
            assert_eq!(features.ebx >> 16, u32::from(id) << 8 | 4);
            assert_ne!(features.edx & FEATURES_EDX_HYPER_THREADING, 0);
            for function in [TOPOLOGY, TOPOLOGY_V2] {
                let levels: Vec<_> = answers(function, id, 3)
                    .iter()
                    .map(|level| (level.index, level.eax, level.ebx, level.ecx, level.edx))
                    .collect();
                let id = id.into();
                let expected = [(0, 0, 1, 0x100, id), (1, 2, 3, 0x201, id), (2, 0, 0, 2, id)];
                assert_eq!(levels, expected);
            }
            let topology = answer(AMD_TOPOLOGY, id, 3);
            let id = id.into();
            assert_eq!((topology.eax, topology.ebx, topology.ecx), (id, id, 0));
            assert_eq!(answer(AMD_SIZES, 0, 3).ecx & 0xf0ff, 0x2002);
        }
    }

    #[test]
    fn only_the_last_level_of_cache_is_shared() {
        for function in [CACHES, AMD_CACHES] {
            for (level, sharing) in [(1, 0), (2, 0), (3, 3)] {
                let host = HostCpuid {
                    entries: vec![entry(function, level << 5)],
                    deadline_timer: true,
                };
                let eax = host.entries_of_cpu(1, VcpuCount::new(4).unwrap())[0].eax;
                assert_eq!(eax >> 14 & 0xfff, sharing, "level {level}");
            }
        }
    }

    #[test]
    fn the_most_processors_fit_into_every_leaf() {
        for function in [
            FEATURES,
            CACHES,
            TOPOLOGY,
            AMD_SIZES,
            AMD_CACHES,
            AMD_TOPOLOGY,
        ] {
            answers(function, 253, 254);
        }
        assert_eq!(answer(FEATURES, 253, 254).ebx >> 16, 253 << 8 | 255);
    }

    #[test]
    fn the_deadline_timer_is_there_if_kvm_has_it() {
        for deadline_timer in [true, false] {
            let host = HostCpuid {
                entries: vec![entry(FEATURES, 0)],
                deadline_timer,
            };
            let ecx = host.entries_of_cpu(0, VcpuCount::ONE)[0].ecx;
            assert_eq!(ecx & FEATURES_ECX_TSC_DEADLINE != 0, deadline_timer);
        }
    }

    #[test]
    fn other_leaves_are_the_hosts() {
        assert_eq!(answer(0x7, 1, 2), entry(0x7, u32::MAX));
        assert!(answers(AMD_TOPOLOGY_V2, 0, 1).is_empty());
    }
}
