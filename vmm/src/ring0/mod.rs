//! Tells a host that emulates a guest's ring 0 from one whose processor runs it.
//!
//! Some hosts offer `/dev/kvm` without hardware virtualization: guest kernels run in KVM's
//! instruction emulator there, some thousand times slower, and need a kernel told so. Nothing
//! announces it, so it is measured: a [`Probe`] runs a loop in ring 0.

mod cache;

use kvm_ioctls::Kvm;

use crate::probe::{HLT, Probe, ProbeError, STAMP_PORT, Stamps};

pub use cache::of_host;

/// Who executes a guest kernel's instructions, and how many of them a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Ring0 {
    /// The processor.
    Hardware {
        /// Of a loop of decrement and jump.
        instructions_per_second: u64,
    },
    /// KVM's instruction emulator.
    Emulated {
        /// Of a loop of decrement and jump.
        instructions_per_second: u64,
    },
}

/// How often the loop is measured. The best counts: time that others took from us only ever
/// makes it look slower.
const ROUNDS: usize = 3;
/// Takes 3 ms a round where it is emulated, and less than an exit where it is not.
const ROUND_TURNS: u32 = 2_000;
/// What the rate on hardware is measured with: a millisecond.
const HARDWARE_TURNS: u32 = 1_000_000;
const INSTRUCTIONS_A_TURN: u64 = 2;
/// Between an emulator (about 1 million) and the slowest hardware, where a round takes a nested
/// exit of 100 us at most (40 million).
const THRESHOLD: u64 = 10_000_000;

/// Measures, in some milliseconds.
///
/// # Errors
///
/// When KVM does not run the probe.
pub fn probe(kvm: &Kvm) -> Result<Ring0, ProbeError> {
    let mut code = Vec::new();
    for turns in [ROUND_TURNS; ROUNDS].into_iter().map(Some).chain([None]) {
        match turns {
            Some(turns) => code.extend(stamped_loop(turns)),
            None => code.push(HLT),
        }
    }
    code.extend(stamped_loop(HARDWARE_TURNS));
    code.push(HLT);
    let mut probe = Probe::new(kvm, &code)?;
    let mut fastest = |turns| fastest(&probe.run()?, turns).ok_or(ProbeError::Ended);
    let instructions_per_second = fastest(ROUND_TURNS)?;
    if instructions_per_second < THRESHOLD {
        return Ok(Ring0::Emulated {
            instructions_per_second,
        });
    }
    Ok(Ring0::Hardware {
        instructions_per_second: fastest(HARDWARE_TURNS)?,
    })
}

/// `mov ecx, turns; out STAMP_PORT, al; again: dec ecx; jnz again; out STAMP_PORT, al`
fn stamped_loop(turns: u32) -> Vec<u8> {
    let mut code = vec![0xb9];
    code.extend(turns.to_le_bytes());
    code.extend([0xe6, STAMP_PORT, 0xff, 0xc9, 0x75, 0xfc, 0xe6, STAMP_PORT]);
    code
}

/// The best rate that a pair of stamps shows.
fn fastest(stamps: &Stamps, turns: u32) -> Option<u64> {
    const NS_PER_SECOND: u64 = 1_000_000_000;
    let instructions = u64::from(turns) * INSTRUCTIONS_A_TURN;
    let pairs = stamps.0.chunks_exact(2);
    let shortest_ns = pairs.map(|pair| pair[1].since(pair[0])).min()?;
    Some(instructions * NS_PER_SECOND / shortest_ns.max(1))
}

#[cfg(test)]
mod tests {
    use launch::MonotonicNs;

    use super::*;

    #[test]
    fn the_probe_agrees_with_the_modules_of_the_host() {
        let Some(kvm) = crate::kvm_for_test() else {
            return;
        };
        let emulated = std::path::Path::new("/sys/module/kvm_pvm").exists();
        let ring0 = probe(&kvm).unwrap();
        assert_eq!(
            matches!(ring0, Ring0::Emulated { .. }),
            emulated,
            "{ring0:?}"
        );
    }

    #[test]
    fn the_best_round_counts() {
        let stamps = Stamps([0, 4_000, 5_000, 7_000, 9_000].map(MonotonicNs).to_vec());
        assert_eq!(fastest(&stamps, 1_000), Some(1_000_000_000));
        assert_eq!(fastest(&Stamps::default(), 1_000), None);
    }
}
