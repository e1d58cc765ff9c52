//! The KVM virtual machine: address space, interrupt controllers, timer.

mod state;

pub use state::VmState;

use kvm_bindings::{KVM_PIT_SPEAKER_DUMMY, kvm_pit_config, kvm_userspace_memory_region};
use kvm_ioctls::{IoEventAddress, Kvm, VmFd};
use vm_memory::{Address, GuestMemoryBackend, GuestMemoryRegion};
use vmm_sys_util::eventfd::EventFd;

use crate::layout;
use crate::memory::GuestMemory;

/// KVM refused a step.
#[derive(Debug, thiserror::Error)]
#[error("KVM: can't {step}")]
pub struct VmError {
    step: &'static str,
    #[source]
    cause: kvm_ioctls::Error,
}

/// Names the step that an ioctl was.
fn step<T>(step: &'static str, result: Result<T, kvm_ioctls::Error>) -> Result<T, VmError> {
    result.map_err(|cause| VmError { step, cause })
}

/// A virtual machine, with its guest memory for as long as it exists.
pub struct Vm {
    fd: VmFd,
    // Mapped into the guest until `fd` is closed, and no longer used by KVM then.
    memory: GuestMemory,
}

impl Vm {
    /// Creates a machine with in-kernel interrupt controllers and timer, ready for its vCPU.
    ///
    /// # Errors
    ///
    /// When KVM refuses a step.
    pub fn new(kvm: &Kvm, memory: GuestMemory) -> Result<Self, VmError> {
        let vm = Self::bare(kvm, memory)?;
        // Before the vCPU, whose local APIC is in the kernel only if this was.
        step("create the interrupt controllers", vm.fd.create_irq_chip())?;
        // After the interrupt controllers. With a dummy speaker, port 0x61 is answered in the
        // kernel too: Linux reads it to calibrate its clock.
        step(
            "create the timer",
            vm.fd.create_pit2(kvm_pit_config {
                flags: KVM_PIT_SPEAKER_DUMMY,
                ..Default::default()
            }),
        )?;
        Ok(vm)
    }

    /// Creates a machine of memory and nothing else: no interrupts, no timer.
    ///
    /// # Errors
    ///
    /// When KVM refuses a step.
    pub fn bare(kvm: &Kvm, memory: GuestMemory) -> Result<Self, VmError> {
        let fd = step("create a virtual machine", kvm.create_vm())?;
        let vm = Self { fd, memory };
        // First of all: once there are interrupt controllers, whose creation leaves work for the
        // end of an SRCU grace period, this waits for that: 7 ms in place of 0.5.
        vm.map_memory()?;
        // Both before the vCPU, which VT-x without "unrestricted guest" runs through them.
        step("place the TSS", vm.fd.set_tss_address(layout::TSS as usize))?;
        step(
            "place the identity map",
            vm.fd.set_identity_map_address(layout::IDENTITY_MAP),
        )?;
        Ok(vm)
    }

    fn map_memory(&self) -> Result<(), VmError> {
        for (slot, region) in (0..).zip(self.memory.iter()) {
            let slot = kvm_userspace_memory_region {
                slot,
                flags: 0,
                guest_phys_addr: region.start_addr().raw_value(),
                memory_size: region.len(),
                userspace_addr: region.as_ptr() as u64,
            };
            // SAFETY: the range lies in a mapping that `self.memory` owns, which lives as long as
            // the machine; the regions of a `GuestMemory` don't overlap, and each gets a slot of
            // its own.
            step("map guest memory", unsafe {
                self.fd.set_user_memory_region(slot)
            })?;
        }
        Ok(())
    }

    /// The guest's memory.
    pub fn memory(&self) -> &GuestMemory {
        &self.memory
    }

    /// The machine's file descriptor.
    pub fn fd(&self) -> &VmFd {
        &self.fd
    }

    /// Lets `event` raise interrupt `gsi`, edge-triggered, without a system call of the vCPU's.
    ///
    /// # Errors
    ///
    /// When KVM refuses it.
    pub fn interrupt_on(&self, event: &EventFd, gsi: u32) -> Result<(), VmError> {
        step("attach an interrupt", self.fd.register_irqfd(event, gsi))
    }

    /// Lets the guest's write of the 32-bit number `value` to `address` signal `event`, without
    /// an exit to this process.
    ///
    /// # Errors
    ///
    /// When KVM refuses it.
    pub fn signal_on_write(
        &self,
        event: &EventFd,
        address: u64,
        value: u32,
    ) -> Result<(), VmError> {
        step(
            "attach a doorbell",
            self.fd
                .register_ioevent(event, &IoEventAddress::Mmio(address), value),
        )
    }
}
