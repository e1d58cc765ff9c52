//! Tells a host that emulates a guest's ring 0 from one whose processor runs it.
//!
//! Some hosts offer `/dev/kvm` without hardware virtualization: guest kernels run in KVM's
//! instruction emulator there, some thousand times slower, and need a kernel told so. Nothing
//! announces it, so it is measured: a machine of one page of code runs a loop in ring 0.

mod cache;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use kvm_ioctls::Kvm;
use launch::MonotonicNs;
use vm_device::MutDevicePio;
use vm_device::bus::{PioAddress, PioAddressOffset};
use vm_memory::{Bytes, GuestAddress};

use crate::boot::{Start, page_tables};
use crate::bus::{AttachError, Bus};
use crate::devices::SavedState;
use crate::memory::{self, MemoryError};
use crate::reset::ResetLine;
use crate::vcpu::{Stop, StopError, Vcpu, VcpuError};
use crate::vm::{Vm, VmError};

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

/// The probe failed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// No memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// No machine.
    #[error(transparent)]
    Vm(#[from] VmError),
    /// No processor.
    #[error(transparent)]
    Vcpu(#[from] VcpuError),
    /// The bus is taken.
    #[error(transparent)]
    Bus(#[from] AttachError),
    /// The loop does not fit into memory.
    #[error("the probe can't be written to guest memory")]
    Write(#[from] vm_memory::GuestMemoryError),
    /// The loop can't be run.
    #[error("the probe for guest ring 0 can't be run")]
    Run(#[from] StopError),
    /// The loop did not end as it should.
    #[error("the probe for guest ring 0 did not come to its end")]
    Ended,
}

/// The code, behind the page tables.
const CODE: u64 = 0x1_0000;
const MEMORY_BYTES: u64 = 0x1_1000;
const STAMP_PORT: u8 = 0x10;

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
    let memory = memory::allocate(MEMORY_BYTES)?;
    let cr3 = page_tables::write(&memory)?;
    let mut code = Vec::new();
    for turns in [ROUND_TURNS; ROUNDS].into_iter().map(Some).chain([None]) {
        match turns {
            Some(turns) => code.extend(stamped_loop(turns)),
            None => code.push(HLT),
        }
    }
    code.extend(stamped_loop(HARDWARE_TURNS));
    code.push(HLT);
    memory.write_slice(&code, GuestAddress(CODE))?;

    let stamps = Arc::new(Mutex::new(Stamps::default()));
    let mut bus = Bus::default();
    bus.attach_pio(STAMP_PORT.into(), 1, stamps.clone())?;
    let vm = Vm::bare(kvm, memory)?;
    let mut vcpu = Vcpu::new_bare(kvm, &vm, Start::Long { rip: CODE, cr3 })?;

    let mut fastest = |turns| -> Result<u64, ProbeError> {
        if vcpu.run(&bus, &ResetLine::default())? != Stop::Halted {
            return Err(ProbeError::Ended);
        }
        let mut stamps = stamps.lock().unwrap_or_else(PoisonError::into_inner);
        stamps.fastest(turns).ok_or(ProbeError::Ended)
    };
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

const HLT: u8 = 0xf4;

/// `mov ecx, turns; out STAMP_PORT, al; again: dec ecx; jnz again; out STAMP_PORT, al`
fn stamped_loop(turns: u32) -> Vec<u8> {
    let mut code = vec![0xb9];
    code.extend(turns.to_le_bytes());
    code.extend([0xe6, STAMP_PORT, 0xff, 0xc9, 0x75, 0xfc, 0xe6, STAMP_PORT]);
    code
}

/// A port that stamps each write to it.
#[derive(Default)]
struct Stamps(Vec<MonotonicNs>);

impl Stamps {
    /// Takes the stamps and returns the best rate that a pair of them shows.
    fn fastest(&mut self, turns: u32) -> Option<u64> {
        const NS_PER_SECOND: u64 = 1_000_000_000;
        let instructions = u64::from(turns) * INSTRUCTIONS_A_TURN;
        let stamps = std::mem::take(&mut self.0);
        let shortest_ns = stamps
            .chunks_exact(2)
            .map(|pair| pair[1].since(pair[0]))
            .min()?;
        Some(instructions * NS_PER_SECOND / shortest_ns.max(1))
    }
}

impl MutDevicePio for Stamps {
    fn pio_read(&mut self, _: PioAddress, _: PioAddressOffset, data: &mut [u8]) {
        data.fill(0xff);
    }

    fn pio_write(&mut self, _: PioAddress, _: PioAddressOffset, _: &[u8]) {
        self.0.push(MonotonicNs::now());
    }
}

/// The probe is over before anything could be saved.
impl SavedState for Stamps {
    type State = ();
    type Error = Infallible;

    fn save(&mut self) {}

    fn restore(&mut self, (): ()) -> Result<(), Infallible> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
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
        let mut stamps = Stamps([0, 4_000, 5_000, 7_000, 9_000].map(MonotonicNs).to_vec());
        assert_eq!(stamps.fastest(1_000), Some(1_000_000_000));
        assert_eq!(stamps.fastest(1_000), None);
    }
}
