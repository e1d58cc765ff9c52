//! What KVM takes on this host for the least that there is: no monitor can be quicker.

use kvm_ioctls::Kvm;
use launch::MonotonicNs;

use crate::probe::{HLT, Probe, ProbeError, STAMP_ADDRESS, STAMP_PORT, Stamps};

/// Times in nanoseconds, each taken [`TURNS`] times or, of [`create_vm`](Self::create_vm_ns),
/// [`MACHINES`] times. The guest's own code runs in ring 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KvmFloor {
    /// `KVM_CREATE_VM`: a machine without anything.
    pub create_vm_ns: Vec<u64>,
    /// From one write to a port to the next: the exit, and the entry again, with a guest of three
    /// instructions.
    pub pio_exit_ns: Vec<u64>,
    /// The same with a write to memory that is none.
    pub mmio_exit_ns: Vec<u64>,
    /// `CPUID`, which the kernel answers: the mean of [`TURNS`] in a row, several times.
    pub cpuid_ns: Vec<u64>,
}

/// How many machines are made.
pub const MACHINES: usize = 15;
/// How often the guest does each.
pub const TURNS: u32 = 200;
const CPUID_ROUNDS: usize = 15;

/// `out STAMP_PORT, al`
const STAMP: [u8; 2] = [0xe6, STAMP_PORT];

/// Measures, in some tens of milliseconds.
///
/// # Errors
///
/// When KVM does not run it.
pub fn measure(kvm: &Kvm) -> Result<KvmFloor, ProbeError> {
    let mut create_vm_ns = Vec::new();
    for _ in 0..MACHINES {
        let start = MonotonicNs::now();
        let vm = kvm.create_vm().map_err(ProbeError::Create)?;
        create_vm_ns.push(MonotonicNs::now().since(start));
        drop(vm);
    }
    let mut code = writes_to_port(TURNS);
    code.extend(writes_to_memory(TURNS));
    for _ in 0..CPUID_ROUNDS {
        code.extend(STAMP);
        code.extend(cpuids(TURNS));
        code.extend(STAMP);
    }
    code.push(HLT);
    let mut probe = Probe::new(kvm, &code)?;
    let pio_exit_ns = steps(&probe.run()?);
    let mmio_exit_ns = steps(&probe.run()?);
    let rounds = probe.run()?;
    let cpuid_ns = rounds
        .0
        .chunks_exact(2)
        .map(|pair| pair[1].since(pair[0]) / u64::from(TURNS))
        .collect();
    Ok(KvmFloor {
        create_vm_ns,
        pio_exit_ns,
        mmio_exit_ns,
        cpuid_ns,
    })
}

fn steps(stamps: &Stamps) -> Vec<u64> {
    let pairs = stamps.0.windows(2);
    pairs.map(|pair| pair[1].since(pair[0])).collect()
}

/// Code that does nothing but write to a port: `mov ecx, TIMES; again: out STAMP_PORT, al; dec ecx;
/// jnz again; hlt`.
pub fn writes_to_port(times: u32) -> Vec<u8> {
    let mut code = vec![0xb9];
    code.extend(times.to_le_bytes());
    code.extend([0xe6, STAMP_PORT, 0xff, 0xc9, 0x75, 0xfa, HLT]);
    code
}

/// The same with memory that is none: `mov edi, STAMP_ADDRESS; mov ecx, TIMES; again: mov [rdi], al;
/// dec ecx; jnz again; hlt`.
pub fn writes_to_memory(times: u32) -> Vec<u8> {
    let mut code = vec![0xbf];
    code.extend(STAMP_ADDRESS.to_le_bytes());
    code.push(0xb9);
    code.extend(times.to_le_bytes());
    code.extend([0x88, 0x07, 0xff, 0xc9, 0x75, 0xfa, HLT]);
    code
}

/// The same with `CPUID`, and without an end: `mov r8d, TIMES; again: xor eax, eax; cpuid; dec r8d;
/// jnz again`.
pub fn cpuids(times: u32) -> Vec<u8> {
    let mut code = vec![0x41, 0xb8];
    code.extend(times.to_le_bytes());
    code.extend([0x31, 0xc0, 0x0f, 0xa2, 0x41, 0xff, 0xc8, 0x75, 0xf7]);
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_measured_as_often_as_it_is_done() {
        let Some(kvm) = crate::kvm_for_test() else {
            return;
        };
        let floor = measure(&kvm).unwrap();
        assert_eq!(floor.create_vm_ns.len(), MACHINES);
        assert_eq!(floor.pio_exit_ns.len(), TURNS as usize - 1);
        assert_eq!(floor.mmio_exit_ns.len(), TURNS as usize - 1);
        assert_eq!(floor.cpuid_ns.len(), CPUID_ROUNDS);
        assert!(floor.cpuid_ns.iter().all(|&ns| ns > 0));
    }
}
