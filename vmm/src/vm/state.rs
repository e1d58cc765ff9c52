//! What of a virtual machine is neither memory nor processor: the interrupt controllers, the
//! timer and the clock.

use kvm_bindings::{
    KVM_IRQCHIP_IOAPIC, KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE, KVM_NR_IRQCHIPS,
    kvm_clock_data, kvm_irqchip, kvm_pit_state2,
};
use serde::{Deserialize, Serialize};

use super::{Vm, VmError, step};

/// The chips behind `KVM_GET_IRQCHIP`.
const CHIPS: [u32; KVM_NR_IRQCHIPS as usize] = [
    KVM_IRQCHIP_PIC_MASTER,
    KVM_IRQCHIP_PIC_SLAVE,
    KVM_IRQCHIP_IOAPIC,
];

/// The saved state of a machine made by [`Vm::new`]. All of it fits any such machine: what makes
/// no sense is refused by KVM, or is a guest's own trouble.
#[derive(Clone, Serialize, Deserialize)]
pub struct VmState {
    /// In the order of [`CHIPS`], whatever they call themselves.
    chips: [kvm_irqchip; CHIPS.len()],
    timer: kvm_pit_state2,
    /// What the guest's kvm-clock shows, in nanoseconds. Nothing else of `struct kvm_clock_data`:
    /// its flags would have KVM add the time that has passed since, or are refused.
    clock_ns: u64,
}

impl Vm {
    /// Reads its state. After the processor's, whose own saving may still raise an interrupt.
    ///
    /// # Errors
    ///
    /// When KVM refuses a step.
    pub fn save(&self) -> Result<VmState, VmError> {
        let mut chips = [kvm_irqchip::default(); CHIPS.len()];
        for (chip, id) in chips.iter_mut().zip(CHIPS) {
            chip.chip_id = id;
            step("save an interrupt controller", self.fd.get_irqchip(chip))?;
        }
        Ok(VmState {
            chips,
            timer: step("save the timer", self.fd.get_pit2())?,
            clock_ns: step("save the clock", self.fd.get_clock())?.clock,
        })
    }

    /// Gives a new machine a saved state. After the processor's: the IO-APIC hands on what is
    /// waiting in it, and a local APIC that is set later would forget that. Before any device
    /// signals its interrupt, which this would overwrite; the interrupts may be attached
    /// ([`Vm::interrupt_on`]) before.
    ///
    /// # Errors
    ///
    /// When KVM refuses a step.
    pub fn restore(&self, state: &VmState) -> Result<(), VmError> {
        step("restore the timer", self.fd.set_pit2(&state.timer))?;
        let clock = kvm_clock_data {
            clock: state.clock_ns,
            ..Default::default()
        };
        step("restore the clock", self.fd.set_clock(&clock))?;
        for (chip, id) in state.chips.iter().zip(CHIPS) {
            let chip = kvm_irqchip {
                chip_id: id,
                ..*chip
            };
            step(
                "restore an interrupt controller",
                self.fd.set_irqchip(&chip),
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
impl VmState {
    /// With another timer.
    pub fn with_timer(self, timer: kvm_pit_state2) -> Self {
        Self { timer, ..self }
    }
}
