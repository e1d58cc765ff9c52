//! A machine that was built: it runs, stands still, and is saved.

use kvm_ioctls::Kvm;
use serde::{Deserialize, Serialize};

use crate::bus::{self, Bus, DeviceStates};
use crate::memory::GuestMemory;
use crate::reset::ResetLine;
use crate::vcpu::{self, Stop, StopError, Vcpu, VcpuState};
use crate::vm::{Vm, VmError, VmState};

/// All of a machine but its memory.
#[derive(Serialize, Deserialize)]
pub struct MachineState {
    /// Of everything on its bus.
    pub devices: DeviceStates,
    /// Of its processor.
    pub vcpu: VcpuState,
    /// Of what KVM has besides.
    pub vm: VmState,
}

/// A machine's state can't be read.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// A device's.
    #[error(transparent)]
    Device(#[from] bus::SaveError),
    /// The processor's.
    #[error(transparent)]
    Vcpu(#[from] vcpu::StateError),
    /// KVM's.
    #[error(transparent)]
    Vm(#[from] VmError),
}

/// A machine that is ready to run.
pub struct Machine {
    // In the order in which they are taken down.
    pub(crate) vcpu: Vcpu,
    pub(crate) bus: Bus,
    pub(crate) reset: ResetLine,
    pub(crate) vm: Vm,
    pub(crate) kvm: Kvm,
}

impl Machine {
    /// Runs it on the calling thread until it stops.
    ///
    /// # Errors
    ///
    /// When it can't go on.
    pub fn run(&mut self) -> Result<Stop, StopError> {
        self.vcpu.run(&self.bus, &self.reset)
    }

    /// Its processor.
    pub fn vcpu(&self) -> &Vcpu {
        &self.vcpu
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
        Ok(MachineState {
            devices: self.bus.save()?,
            vcpu: self.vcpu.save(&self.kvm)?,
            vm: self.vm.save()?,
        })
    }

    /// Lets the devices go on after [`Machine::save`].
    pub fn resume(&self) {
        self.bus.resume();
    }
}
