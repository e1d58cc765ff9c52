//! A machine that was built: it runs, stands still, and is saved.

use std::io;

use kvm_ioctls::Kvm;
use serde::{Deserialize, Serialize};

use crate::bus::{self, DeviceStates};
use crate::memory::GuestMemory;
use crate::vcpu::{self, Crew, Stop, StopError, Surroundings, Vcpu, VcpuCount, VcpuState};
use crate::vm::{Vm, VmError, VmState};

/// How large a machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Of its memory.
    pub memory_bytes: u64,
    /// Number of its processors.
    pub vcpus: VcpuCount,
}

/// All of a machine but its memory.
#[derive(Serialize, Deserialize)]
pub struct MachineState {
    /// Of everything on its bus.
    pub devices: DeviceStates,
    /// Of its first processor.
    pub first_vcpu: VcpuState,
    /// Of the others, in the order of their numbers.
    pub other_vcpus: Vec<VcpuState>,
    /// Of what KVM has besides.
    pub vm: VmState,
}

/// A machine's state can't be read.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// A device's.
    #[error(transparent)]
    Device(#[from] bus::SaveError),
    /// A processor's.
    #[error(transparent)]
    Vcpu(#[from] vcpu::StateError),
    /// KVM's.
    #[error(transparent)]
    Vm(#[from] VmError),
}

/// A machine that is ready to run.
pub struct Machine {
    // In the order in which they are taken down.
    pub(crate) crew: Crew,
    pub(crate) around: Surroundings,
    pub(crate) vm: Vm,
    pub(crate) kvm: Kvm,
}

impl Machine {
    /// Starts the threads of all processors but the first, if there are any, for the runs to come;
    /// otherwise the first run does. `begin` is done on each before anything else.
    ///
    /// # Errors
    ///
    /// When there is no thread for one, or it could not begin.
    pub fn start_threads(
        &mut self,
        begin: impl FnOnce() -> io::Result<()> + Clone + Send + 'static,
    ) -> io::Result<()> {
        self.crew.start_threads(&self.around, begin)
    }

    /// Runs it until it stops: its first processor on the calling thread.
    ///
    /// # Errors
    ///
    /// When it can't go on.
    pub fn run(&mut self) -> Result<Stop, StopError> {
        self.crew.run(&self.around)
    }

    /// The processor that boots.
    pub fn first_vcpu(&self) -> &Vcpu {
        &self.crew.first
    }

    /// Its memory.
    pub fn memory(&self) -> &GuestMemory {
        self.vm.memory()
    }

    /// Its state, after a run that was kicked, while its devices are not served. Memory must be
    /// written before it runs again or they are.
    ///
    /// # Errors
    ///
    /// When a part can't be read.
    pub fn save(&mut self) -> Result<MachineState, SaveError> {
        // In this order: what a device still does may raise an interrupt, which is a part of the
        // processor's state, and what the processor takes in changes the interrupt controllers.
        let others = self.crew.others.iter_mut().map(|vcpu| vcpu.save(&self.kvm));
        Ok(MachineState {
            devices: self.around.bus.save()?,
            first_vcpu: self.crew.first.save(&self.kvm)?,
            other_vcpus: others.collect::<Result<_, _>>()?,
            vm: self.vm.save()?,
        })
    }

    /// Lets the devices go on after [`Machine::save`].
    pub fn resume(&self) {
        self.around.bus.resume();
    }
}
