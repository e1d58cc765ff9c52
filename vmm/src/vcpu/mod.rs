//! The virtual processors: how they are set up, and the loop that runs each.

mod count;
mod cpuid;
mod crew;
mod extended_state;
mod kick;
mod msrs;
mod registers;
mod run;
mod state;

pub use count::{ImpossibleCount, VcpuCount};
pub use cpuid::HostCpuid;
pub use kick::Kick;
pub use registers::Registers;
pub use run::{Stop, StopError};
pub use state::{StateError, VcpuState};

pub(crate) use crew::{Crew, Surroundings};
use extended_state::ExtendedState;
use kvm_ioctls::{Kvm, VcpuFd};

use crate::boot::Start;
use crate::memory::GuestMemory;
use crate::vm::Vm;

/// KVM refused a step.
#[derive(Debug, thiserror::Error)]
#[error("KVM: can't {step}")]
pub struct VcpuError {
    step: &'static str,
    #[source]
    cause: kvm_ioctls::Error,
}

/// Names the step that an ioctl was.
fn step<T>(step: &'static str, result: Result<T, kvm_ioctls::Error>) -> Result<T, VcpuError> {
    result.map_err(|cause| VcpuError { step, cause })
}

/// A processor of a machine.
pub struct Vcpu {
    fd: VcpuFd,
    extended_state: Option<ExtendedState>,
}

impl Vcpu {
    /// Creates the processors of a full machine ([`Vm::new`]), in the order of their numbers: the
    /// first is about to execute the first instruction of a kernel, the others wait for it to
    /// start them.
    ///
    /// # Errors
    ///
    /// When KVM refuses a step.
    pub fn all(
        vm: &Vm,
        host: &HostCpuid,
        count: VcpuCount,
        start: Start,
    ) -> Result<(Self, Vec<Self>), VcpuError> {
        let make = |id| -> Result<Self, VcpuError> {
            let vcpu = Self::bare(vm, host, id, count)?;
            registers::set_msrs(&vcpu.fd)?;
            registers::set_fpu(&vcpu.fd)?;
            registers::set_local_apic(&vcpu.fd)?;
            Ok(vcpu)
        };
        let first = make(0)?;
        first.start_at(vm, start)?;
        let others = count.ids().skip(1).map(make).collect::<Result<_, _>>()?;
        Ok((first, others))
    }

    /// Creates the one processor of a machine without interrupts ([`Vm::bare`]), about to execute
    /// the instruction at `rip` in 64-bit mode, in ring 0.
    ///
    /// # Errors
    ///
    /// When KVM refuses a step.
    pub fn new_bare(kvm: &Kvm, vm: &Vm, start: Start) -> Result<Self, VcpuError> {
        let vcpu = Self::bare(vm, &HostCpuid::of(kvm)?, 0, VcpuCount::ONE)?;
        vcpu.start_at(vm, start)?;
        Ok(vcpu)
    }

    fn bare(vm: &Vm, host: &HostCpuid, id: u8, count: VcpuCount) -> Result<Self, VcpuError> {
        let fd = step("create a vCPU", vm.fd().create_vcpu(id.into()))?;
        // Before the MSRs, some of which exist only if CPUID says so.
        step("set CPUID", fd.set_cpuid2(&host.of_cpu(id, count)?))?;
        Ok(Self {
            fd,
            extended_state: None,
        })
    }

    /// Lets the guest save and load vector registers by way of two ports: its kernel, in an
    /// emulated ring 0, has no other. `memory` is the guest's.
    pub fn switch_extended_state(&mut self, memory: GuestMemory) {
        self.extended_state = Some(ExtendedState::new(memory));
    }

    fn start_at(&self, vm: &Vm, start: Start) -> Result<(), VcpuError> {
        registers::set_start(&self.fd, vm.memory(), start)
    }

    /// The general registers.
    ///
    /// # Errors
    ///
    /// When KVM refuses to tell them.
    pub fn registers(&self) -> Result<Registers, VcpuError> {
        step("read the registers", self.fd.get_regs()).map(Registers)
    }
}
