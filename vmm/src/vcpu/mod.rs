//! The virtual processor: how it is set up, and the loop that runs it.

mod cpuid;
mod extended_state;
mod kick;
mod msrs;
mod registers;
mod run;
mod state;

pub use kick::Kick;
pub use registers::Registers;
pub use run::{Stop, StopError};
pub use state::{StateError, VcpuState};

use extended_state::ExtendedState;
use kvm_ioctls::{Cap, Kvm, VcpuFd};

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

/// The one processor of a machine.
pub struct Vcpu {
    fd: VcpuFd,
    extended_state: Option<ExtendedState>,
}

impl Vcpu {
    /// Creates the processor of a full machine ([`Vm::new`]), about to execute the first
    /// instruction of a kernel.
    ///
    /// # Errors
    ///
    /// When KVM refuses a step.
    pub fn new(kvm: &Kvm, vm: &Vm, start: Start) -> Result<Self, VcpuError> {
        let vcpu = Self::bare(kvm, vm)?;
        registers::set_msrs(&vcpu.fd)?;
        registers::set_fpu(&vcpu.fd)?;
        registers::set_local_apic(&vcpu.fd)?;
        vcpu.start_at(vm, start)?;
        Ok(vcpu)
    }

    /// Creates the processor of a machine without interrupts ([`Vm::bare`]), about to execute
    /// the instruction at `rip` in 64-bit mode, in ring 0.
    ///
    /// # Errors
    ///
    /// When KVM refuses a step.
    pub fn new_bare(kvm: &Kvm, vm: &Vm, start: Start) -> Result<Self, VcpuError> {
        let vcpu = Self::bare(kvm, vm)?;
        vcpu.start_at(vm, start)?;
        Ok(vcpu)
    }

    fn bare(kvm: &Kvm, vm: &Vm) -> Result<Self, VcpuError> {
        let fd = step("create a vCPU", vm.fd().create_vcpu(0))?;
        // Before the MSRs, some of which exist only if CPUID says so.
        let deadline_timer = kvm.check_extension(Cap::TscDeadlineTimer);
        let cpuid = step("read CPUID", kvm.get_supported_cpuid(cpuid::MAX_ENTRIES))?;
        let cpuid = cpuid::of_one_cpu(cpuid, deadline_timer);
        step("set CPUID", fd.set_cpuid2(&cpuid))?;
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
