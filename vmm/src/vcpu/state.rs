//! The saved state of a processor: all that it needs to go on in another process.
//!
//! The order of the calls is that of the dependences inside KVM (`arch/x86/kvm/x86.c`), which
//! `Documentation/virt/kvm/api.rst` does not tell.

use kvm_bindings::{
    CpuId, KVM_MP_STATE_HALTED, KVM_MP_STATE_INIT_RECEIVED, KVM_MP_STATE_RUNNABLE,
    KVM_MP_STATE_UNINITIALIZED, kvm_cpuid_entry2, kvm_debugregs, kvm_lapic_state, kvm_mp_state,
    kvm_regs, kvm_sregs, kvm_vcpu_events, kvm_xcrs, kvm_xsave,
};
use kvm_ioctls::{Cap, Kvm, VcpuFd};
use serde::{Deserialize, Serialize};

use super::msrs::{self, Msr};
use super::{Vcpu, VcpuError, cpuid, extended_state, step};
use crate::vm::Vm;

/// A processor can't be saved, or not be made of a state.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// KVM refuses a step.
    #[error(transparent)]
    Kvm(#[from] VcpuError),
    /// The guest's instruction waits for a device: [`Vcpu::run`] did not end in
    /// [`super::Stop::Kicked`].
    #[error("an instruction is not complete")]
    InFlight,
    /// It is in none of the states that a processor of a machine here can be in.
    #[error("the processor is in an unknown state, {0}")]
    Unknown(u32),
    /// A list is longer than any processor's.
    #[error("the state has {count} entries of {list}")]
    TooLong {
        /// What is listed.
        list: &'static str,
        /// How many there are.
        count: usize,
    },
    /// A register without which the guest can't go on.
    #[error("the host refuses the value {data:#x} of MSR {index:#x}")]
    Refused {
        /// Its address.
        index: u32,
        /// What should be in it.
        data: u64,
    },
}

/// The saved state of a processor of a full machine.
#[derive(Debug, Serialize, Deserialize)]
pub struct VcpuState {
    cpuid: Vec<kvm_cpuid_entry2>,
    /// Of its time-stamp counter, where KVM tells it.
    tsc_khz: Option<u32>,
    activity: Activity,
    regs: kvm_regs,
    sregs: kvm_sregs,
    /// All extended registers, AVX-512 included: they fit (see [`extended_state::set`]).
    xsave: Box<kvm_xsave>,
    /// Where KVM has them.
    xcrs: Option<kvm_xcrs>,
    debug_regs: kvm_debugregs,
    local_apic: kvm_lapic_state,
    msrs: Vec<Msr>,
    events: kvm_vcpu_events,
}

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Activity {
    Runs,
    /// It waits for an interrupt.
    Halts,
    /// It was never started: not the first one, before the kernel wants it.
    Waits,
    /// It was reset, and waits for the second half of being started.
    WaitsForAddress,
}

impl Activity {
    fn of(state: kvm_mp_state) -> Result<Self, StateError> {
        match state.mp_state {
            KVM_MP_STATE_RUNNABLE => Ok(Self::Runs),
            KVM_MP_STATE_HALTED => Ok(Self::Halts),
            KVM_MP_STATE_UNINITIALIZED => Ok(Self::Waits),
            KVM_MP_STATE_INIT_RECEIVED => Ok(Self::WaitsForAddress),
            other => Err(StateError::Unknown(other)),
        }
    }

    fn mp_state(self) -> kvm_mp_state {
        kvm_mp_state {
            mp_state: match self {
                Self::Runs => KVM_MP_STATE_RUNNABLE,
                Self::Halts => KVM_MP_STATE_HALTED,
                Self::Waits => KVM_MP_STATE_UNINITIALIZED,
                Self::WaitsForAddress => KVM_MP_STATE_INIT_RECEIVED,
            },
        }
    }
}

impl Vcpu {
    /// Reads its state, after a run that ended in [`super::Stop::Kicked`]. It can go on running.
    ///
    /// # Errors
    ///
    /// When an instruction is not complete, or KVM refuses a step.
    pub fn save(&mut self, kvm: &Kvm) -> Result<VcpuState, StateError> {
        self.complete()?;
        let fd = &self.fd;
        // First of all: it takes in what the local APIC was sent, which changes registers.
        let activity = Activity::of(step("save the run state", fd.get_mp_state())?)?;
        // For its side effect: CR2 or DR6 of an exception that is still to be delivered move to
        // where they are read below.
        step("save the events", fd.get_vcpu_events())?;
        Ok(VcpuState {
            activity,
            regs: step("save the registers", fd.get_regs())?,
            sregs: step("save the special registers", fd.get_sregs())?,
            xsave: Box::new(step("save the vector registers", fd.get_xsave())?),
            xcrs: has(kvm, Cap::Xcrs)
                .then(|| step("save the XCRs", fd.get_xcrs()))
                .transpose()?,
            debug_regs: step("save the debug registers", fd.get_debug_regs())?,
            // Before the MSRs: it may take in a timer that has run out, and with it the deadline.
            local_apic: step("save the local APIC", fd.get_lapic())?,
            msrs: msrs::read(fd, &msrs::kept(kvm)?)?,
            cpuid: step("save CPUID", fd.get_cpuid2(cpuid::MAX_ENTRIES))?
                .as_slice()
                .to_vec(),
            tsc_khz: tsc_khz(kvm, fd)?,
            // Last: whatever the other calls queued is in it.
            events: step("save the events", fd.get_vcpu_events())?,
        })
    }

    /// Lets KVM finish the instruction that it left for a device's answer: that is done at the
    /// next `KVM_RUN` only (`Documentation/virt/kvm/api.rst`, section 5, `KVM_EXIT_MMIO`).
    fn complete(&mut self) -> Result<(), StateError> {
        self.fd.set_kvm_immediate_exit(1);
        let interrupted = match self.fd.run() {
            Ok(_) => Err(StateError::InFlight),
            Err(error) if error.errno() == libc::EINTR => Ok(()),
            Err(error) => step("complete an instruction", Err(error)).map_err(StateError::Kvm),
        };
        self.fd.set_kvm_immediate_exit(0);
        interrupted
    }

    /// Creates the processor `id` of a full machine ([`Vm::new`]) with a saved state, about to go
    /// on where that was saved. After guest memory has its content, before [`Vm::restore`].
    ///
    /// # Errors
    ///
    /// When the state makes no sense, or KVM refuses a step.
    pub fn restore(kvm: &Kvm, vm: &Vm, id: u8, state: &VcpuState) -> Result<Self, StateError> {
        let cpuid = state.cpuid()?;
        let msrs = state.msrs()?;
        let fd = step("create a vCPU", vm.fd().create_vcpu(id.into()))?;
        // First: it decides which registers, and which bits in them, there are.
        step("restore CPUID", fd.set_cpuid2(&cpuid))?;
        restore_tsc_khz(kvm, &fd, state.tsc_khz)?;
        let activity = fd.set_mp_state(state.activity.mp_state());
        step("restore the run state", activity)?;
        step("restore the registers", fd.set_regs(&state.regs))?;
        // Before the local APIC: its base says in which of two modes that is.
        step("restore the special registers", fd.set_sregs(&state.sregs))?;
        let xsave = extended_state::set(&fd, &state.xsave);
        step("restore the vector registers", xsave)?;
        if let Some(xcrs) = &state.xcrs {
            step("restore the XCRs", fd.set_xcrs(xcrs))?;
        }
        let debug_regs = fd.set_debug_regs(&state.debug_regs);
        step("restore the debug registers", debug_regs)?;
        // Before the MSRs: a deadline is taken only by a timer that is set to have one.
        step("restore the local APIC", fd.set_lapic(&state.local_apic))?;
        restore_msrs(&fd, &msrs)?;
        // After the time, which it is a point in.
        let now = state.time_in_force(&fd)?;
        if let Some(deadline) = now.and_then(|now| state.deadline(now)) {
            restore_msrs(&fd, &[deadline])?;
        }
        // After all that may queue an event, or drop one.
        step("restore the events", fd.set_vcpu_events(&state.events))?;
        if state.has_kvm_clock() && has(kvm, Cap::KvmclockCtrl) {
            // The guest's watchdogs are told that it was stopped.
            step("tell the clock of the pause", fd.kvmclock_ctrl())?;
        }
        Ok(Self {
            fd,
            extended_state: None,
        })
    }
}

fn restore_msrs(fd: &VcpuFd, msrs: &[Msr]) -> Result<(), StateError> {
    match msrs::write(fd, msrs)? {
        Some(Msr { index, data }) => Err(StateError::Refused { index, data }),
        None => Ok(()),
    }
}

fn has(kvm: &Kvm, cap: Cap) -> bool {
    kvm.check_extension(cap)
}

fn tsc_khz(kvm: &Kvm, fd: &VcpuFd) -> Result<Option<u32>, VcpuError> {
    has(kvm, Cap::GetTscKhz)
        .then(|| step("read the TSC's frequency", fd.get_tsc_khz()))
        .transpose()
}

/// Sets the frequency of the time-stamp counter if the host's differs: it was measured, so the
/// same host's may differ a little from boot to boot, which KVM takes (`tsc_tolerance_ppm`).
fn restore_tsc_khz(kvm: &Kvm, fd: &VcpuFd, saved: Option<u32>) -> Result<(), VcpuError> {
    match saved {
        Some(khz) if tsc_khz(kvm, fd)? != Some(khz) => {
            step("restore the TSC's frequency", fd.set_tsc_khz(khz))
        }
        _ => Ok(()),
    }
}

impl VcpuState {
    fn cpuid(&self) -> Result<CpuId, StateError> {
        CpuId::from_entries(&self.cpuid).map_err(|_| StateError::TooLong {
            list: "CPUID",
            count: self.cpuid.len(),
        })
    }

    /// The MSRs but the deadline.
    fn msrs(&self) -> Result<Vec<Msr>, StateError> {
        if self.msrs.len() > msrs::MAX {
            return Err(StateError::TooLong {
                list: "MSRs",
                count: self.msrs.len(),
            });
        }
        let is_deadline = |msr: &&Msr| msr.index == msrs::TSC_DEADLINE;
        let others = self.msrs.iter().filter(|msr| !is_deadline(msr));
        Ok(others.copied().collect())
    }

    /// What the time-stamp counter shows after it was set. Hosts that emulate ring 0 don't set it
    /// though they say so: guests see the host's there. The timer would still take deadlines for
    /// points in the time that was asked for, so the one that is shown is asked for.
    fn time_in_force(&self, fd: &VcpuFd) -> Result<Option<u64>, StateError> {
        /// Some seconds, in which any host makes the few calls since.
        const A_WHILE_CYCLES: u64 = 1 << 34;
        let read = msrs::read(fd, &[msrs::TSC])?;
        let (Some(shown), Some(asked)) = (read.first(), self.msr(msrs::TSC)) else {
            return Ok(None);
        };
        if shown.data.wrapping_sub(asked) > A_WHILE_CYCLES {
            tracing::debug!("the host keeps its own time-stamp counter");
            restore_msrs(fd, &[*shown])?;
        }
        Ok(Some(shown.data))
    }

    /// The deadline of the local APIC's timer, as far from `now` as it was from the saved time.
    ///
    /// One of 0 means that no timer is armed, or that one has run out and its interrupt is on the
    /// way, which is not part of any state. So a timer that may be waited for runs out at once:
    /// a guest takes one interrupt too many, but not one too few.
    fn deadline(&self, now: u64) -> Option<Msr> {
        let (deadline, then) = (self.msr(msrs::TSC_DEADLINE)?, self.msr(msrs::TSC)?);
        (deadline != 0 || self.has_deadline_timer()).then(|| Msr {
            index: msrs::TSC_DEADLINE,
            data: now.saturating_add(deadline.saturating_sub(then)),
        })
    }

    /// Whether the local APIC's timer has a deadline, and would raise an interrupt at it.
    fn has_deadline_timer(&self) -> bool {
        // Intel SDM volume 3, 11.5.1.
        const LVT_TIMER: usize = 0x320;
        const MASKED: u32 = 1 << 16;
        const MODE: u32 = 0b11 << 17;
        const MODE_DEADLINE: u32 = 0b10 << 17;
        let mut timer = [0; size_of::<u32>()];
        for (byte, register) in timer.iter_mut().zip(&self.local_apic.regs[LVT_TIMER..]) {
            *byte = *register as u8;
        }
        u32::from_le_bytes(timer) & (MODE | MASKED) == MODE_DEADLINE
    }

    fn has_kvm_clock(&self) -> bool {
        const ENABLED: u64 = 1;
        self.msr(msrs::KVM_SYSTEM_TIME)
            .is_some_and(|data| data & ENABLED != 0)
    }

    fn msr(&self, index: u32) -> Option<u64> {
        let msr = self.msrs.iter().find(|msr| msr.index == index);
        msr.map(|msr| msr.data)
    }
}

#[cfg(test)]
mod tests;
