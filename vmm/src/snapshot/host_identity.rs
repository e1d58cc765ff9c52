//! What a host must have in common with the one that a machine was saved on.

use std::arch::x86_64::{__cpuid_count, CpuidResult};
use std::fmt;

use launch::Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::ring0::Ring0;

/// What must be the same, or the machine goes on wrongly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostIdentity {
    /// Its kernel has patched itself for this one, and its programs have looked for features.
    pub cpu: CpuIdentity,
    /// A kernel for an emulated ring 0 is another.
    pub ring0: Ring0Kind,
}

impl HostIdentity {
    /// This host's, whose ring 0 is known.
    pub fn of_host(ring0: Ring0) -> Self {
        Self {
            cpu: CpuIdentity::of_host(),
            ring0: ring0.into(),
        }
    }
}

/// A model of processor, by what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuIdentity {
    /// Such as "GenuineIntel".
    pub vendor: String,
    /// With the extended family.
    pub family: u32,
    /// With the extended model.
    pub model: u32,
    /// Revision of the model.
    pub stepping: u32,
    /// Of the leaves that tell features.
    pub features: Digest,
}

/// Who executes a guest kernel's instructions: [`Ring0`] without the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ring0Kind {
    /// The processor.
    Hardware,
    /// KVM's instruction emulator.
    Emulated,
}

impl From<Ring0> for Ring0Kind {
    fn from(ring0: Ring0) -> Self {
        match ring0 {
            Ring0::Hardware { .. } => Self::Hardware,
            Ring0::Emulated { .. } => Self::Emulated,
        }
    }
}

impl fmt::Display for Ring0Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hardware => "hardware",
            Self::Emulated => "emulated",
        })
    }
}

/// Leaf, subleaf, and the bits of EAX, EBX, ECX and EDX that are a model's and not a core's, a
/// task's or an operating system's (Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E).
const FEATURES: [(u32, u32, [u32; 4]); 12] = [
    (0x1, 0, [!0, 0, !(1 << 27), !0]), // EBX: APIC ID; ECX bit 27: OSXSAVE
    (0x6, 0, [!0, 0, 0, 0]),           // EAX: ARAT
    (0x7, 0, [!0; 4]),
    (0x7, 1, [!0; 4]),
    (0x7, 2, [!0; 4]),
    (0xd, 0, [!0, 0, !0, !0]), // EBX: size of what is enabled now
    (0xd, 1, [!0, 0, !0, !0]), // EBX: the same
    (0x14, 0, [!0; 4]),
    (0x8000_0001, 0, [!0, 0, !0, !0]), // EBX: package
    (0x8000_0007, 0, [0, 0, 0, !0]),
    (0x8000_0008, 0, [!0, !0, 0, 0]), // ECX: number of cores
    (0x8000_0021, 0, [!0, 0, 0, 0]),
];

impl CpuIdentity {
    /// The processor's that runs this.
    pub fn of_host() -> Self {
        Self::read(__cpuid_count)
    }

    fn read(cpuid: impl Fn(u32, u32) -> CpuidResult) -> Self {
        let leaf0 = cpuid(0, 0);
        let vendor = [leaf0.ebx, leaf0.edx, leaf0.ecx].map(u32::to_le_bytes);
        let last_extended = cpuid(0x8000_0000, 0).eax;
        let mut features = Sha256::new();
        for (leaf, subleaf, mask) in FEATURES {
            // Behind the last leaf, Intel's processors answer with that of another.
            let last = if leaf < 0x8000_0000 {
                leaf0.eax
            } else {
                last_extended
            };
            let mut answer = [0; 4];
            if leaf <= last {
                let found = cpuid(leaf, subleaf);
                answer = [found.eax, found.ebx, found.ecx, found.edx];
            }
            for (register, mask) in answer.into_iter().zip(mask) {
                features.update((register & mask).to_le_bytes());
            }
        }
        let signature = cpuid(1, 0).eax;
        let bits = |low: u32, count: u32| signature >> low & ((1 << count) - 1);
        let base_family = bits(8, 4);
        let extended_family = if base_family == 0xf { bits(20, 8) } else { 0 };
        // Where the base family is neither, the field is reserved.
        let extended_model = if matches!(base_family, 0x6 | 0xf) {
            bits(16, 4)
        } else {
            0
        };
        Self {
            vendor: String::from_utf8_lossy(&vendor.concat()).into_owned(),
            family: base_family + extended_family,
            model: extended_model << 4 | bits(4, 4),
            stepping: bits(0, 4),
            features: Digest::from_bytes(&features.finalize()),
        }
    }
}

impl fmt::Display for CpuIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            vendor,
            family,
            model,
            stepping,
            features,
        } = self;
        let vendor = vendor.escape_debug();
        let features = features.as_str().get(..8).unwrap_or_default();
        write!(
            f,
            "{vendor} family {family} model {model} stepping {stepping} features {features}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Cascade Lake, but for what `change` makes of it.
    fn identity(change: impl Fn(u32, &mut CpuidResult)) -> CpuIdentity {
        CpuIdentity::read(|leaf, _| {
            let word = |text: &[u8; 4]| u32::from_le_bytes(*text);
            let (eax, ebx, ecx, edx) = match leaf {
                0 => (0x16, word(b"Genu"), word(b"ntel"), word(b"ineI")),
                1 => (0x50657, 0x0100_0800, 0x7ffe_fbff, 0xbfeb_fbff),
                0x8000_0000 => (0x8000_0008, 0, 0, 0),
                _ => (leaf, 1, 2, 3),
            };
            let mut answer = CpuidResult { eax, ebx, ecx, edx };
            change(leaf, &mut answer);
            answer
        })
    }

    #[test]
    fn a_model_is_named_as_its_vendor_names_it() {
        let intel = identity(|_, _| {});
        let name = intel.to_string();
        assert!(
            name.starts_with("GenuineIntel family 6 model 85 stepping 7 features "),
            "{name}"
        );
        let amd = identity(|leaf, answer| {
            if leaf == 1 {
                answer.eax = 0x00a0_0f11;
            }
        });
        assert_eq!((amd.family, amd.model, amd.stepping), (25, 1, 1));
    }

    #[test]
    fn a_missing_feature_makes_another_processor() {
        let less = identity(|leaf, answer| {
            if leaf == 7 {
                answer.ebx = 0;
            }
        });
        assert_ne!(less, identity(|_, _| {}));
    }

    #[test]
    fn all_cores_of_a_host_are_the_same_processor() {
        let other_core = identity(|leaf, answer| match leaf {
            1 => {
                answer.ebx ^= 0xff00_0000;
                answer.ecx ^= 1 << 27;
            }
            0xd => answer.ebx = 77,
            _ => {}
        });
        assert_eq!(other_core, identity(|_, _| {}));
    }

    #[test]
    fn a_leaf_behind_the_last_says_nothing() {
        let garbage = identity(|leaf, answer| {
            if leaf == 0x8000_0021 {
                answer.eax = 77;
            }
        });
        assert_eq!(garbage, identity(|_, _| {}));
    }

    #[test]
    fn this_host_is_itself() {
        assert_eq!(CpuIdentity::of_host(), CpuIdentity::of_host());
    }
}
