//! A machine of one page of code in ring 0, to measure what a host does with it.

mod stamps;

use std::sync::{Arc, Mutex, PoisonError};

use kvm_ioctls::Kvm;
use vm_memory::{Bytes, GuestAddress};

use crate::boot::{Start, page_tables};
use crate::bus::{AttachError, Bus};
use crate::ending::EndLine;
use crate::memory::{self, MemoryError};
use crate::vcpu::{Stop, StopError, Vcpu, VcpuError};
use crate::vm::{Vm, VmError};

pub use stamps::Stamps;

/// The probe failed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// No memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// No machine.
    #[error(transparent)]
    Vm(#[from] VmError),
    /// No machine, asked of KVM alone.
    #[error("KVM makes no VM")]
    Create(#[source] kvm_ioctls::Error),
    /// No processor.
    #[error(transparent)]
    Vcpu(#[from] VcpuError),
    /// The bus is taken.
    #[error(transparent)]
    Bus(#[from] AttachError),
    /// The code does not fit into memory.
    #[error("the probe can't be written to guest memory")]
    Write(#[from] vm_memory::GuestMemoryError),
    /// The code can't be run.
    #[error("the probe in guest ring 0 can't be run")]
    Run(#[from] StopError),
    /// The code did not end as it should.
    #[error("the probe in guest ring 0 did not come to its end")]
    Ended,
}

/// The code, behind the page tables.
const CODE: u64 = 0x1_0000;
const MEMORY_BYTES: u64 = 0x1_1000;

/// A write to this port, or to [`STAMP_ADDRESS`], is stamped with the time.
pub const STAMP_PORT: u8 = 0x10;
/// Beyond the memory, and within what the page tables map.
pub const STAMP_ADDRESS: u32 = 0x1000_0000;
/// `hlt`: ends a run.
pub const HLT: u8 = 0xf4;

/// The machine, ready to run.
pub struct Probe {
    vcpu: Vcpu,
    bus: Bus,
    stamps: Arc<Mutex<Stamps>>,
    /// Holds the memory that the guest runs in.
    _vm: Vm,
}

impl Probe {
    /// One that begins with the first byte of `code`.
    pub fn new(kvm: &Kvm, code: &[u8]) -> Result<Self, ProbeError> {
        let memory = memory::allocate(MEMORY_BYTES)?;
        let cr3 = page_tables::write(&memory)?;
        memory.write_slice(code, GuestAddress(CODE))?;
        let stamps = Arc::new(Mutex::new(Stamps::default()));
        let mut bus = Bus::default();
        bus.attach_pio(STAMP_PORT.into(), 1, stamps.clone())?;
        bus.attach_mmio(STAMP_ADDRESS.into(), 1, stamps.clone())?;
        let vm = Vm::bare(kvm, memory)?;
        let vcpu = Vcpu::new_bare(kvm, &vm, Start::Long { rip: CODE, cr3 })?;
        Ok(Self {
            vcpu,
            bus,
            stamps,
            _vm: vm,
        })
    }

    /// Runs to the next [`HLT`], and takes what was stamped on the way.
    pub fn run(&mut self) -> Result<Stamps, ProbeError> {
        loop {
            match self.vcpu.run(&self.bus, &EndLine::default())? {
                Stop::Halted => break,
                // As when the host is frozen for a moment.
                Stop::Kicked => {}
                Stop::Ended(_) | Stop::TripleFault(_) => return Err(ProbeError::Ended),
            }
        }
        let mut stamps = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut stamps))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, RecvTimeoutError};
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::vcpu::Kick;

    #[test]
    fn what_interrupts_the_run_neither_ends_it_nor_costs_a_stamp() {
        const STAMPS: u32 = 5000;
        let Some(kvm) = crate::kvm_for_test() else {
            return;
        };
        // mov ecx, STAMPS; again: out STAMP_PORT, al; dec ecx; jnz again; hlt
        let mut code = vec![0xb9];
        code.extend(STAMPS.to_le_bytes());
        code.extend([0xe6, STAMP_PORT, 0xff, 0xc9, 0x75, 0xfa, HLT]);
        let mut probe = Probe::new(&kvm, &code).unwrap();
        let kick = Kick::this_thread().unwrap();
        let stamps = thread::scope(|scope| {
            let (_running, over) = mpsc::channel::<()>();
            scope.spawn(move || {
                let pause = Duration::from_micros(100);
                while over.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                    kick.kick().unwrap();
                }
            });
            probe.run().unwrap()
        });
        assert_eq!(stamps.0.len(), STAMPS as usize);
    }
}
