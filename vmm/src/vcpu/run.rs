//! The run loop: every reason for which KVM comes back.

use std::fmt;

use kvm_bindings::{
    KVM_INTERNAL_ERROR_DELIVERY_EV, KVM_INTERNAL_ERROR_EMULATION, KVM_INTERNAL_ERROR_SIMUL_EX,
    KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON,
};
use kvm_ioctls::VcpuExit;

use super::extended_state::Request;
use super::kick::Kickable;
use super::{Registers, Vcpu, VcpuError};
use crate::bus::Bus;
use crate::ending::{EndLine, Ending};

/// Why a vCPU stopped in order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stop {
    /// It was kicked, and can be run again.
    Kicked,
    /// The guest is done with its machine.
    Ended(Ending),
    /// An exception in the handler of an exception in the handler of an exception.
    TripleFault(Registers),
    /// It waits for an interrupt, and the machine has none.
    Halted,
}

/// Why a vCPU can't go on.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// The call itself failed.
    #[error("KVM can't run the vCPU")]
    Run(#[source] kvm_ioctls::Error),
    /// KVM met something that it has no answer to.
    #[error("KVM internal error: {kind}{instruction}; {registers}")]
    Internal {
        /// What it met.
        kind: Internal,
        /// The instruction that it could not emulate.
        instruction: Instruction,
        /// Where the guest was.
        registers: Box<Registers>,
    },
    /// The processor refused to enter the guest.
    #[error("the processor does not enter the guest, for reason {reason:#x}; {registers}")]
    Entry {
        /// The hardware's own number.
        reason: u64,
        /// Where the guest was.
        registers: Box<Registers>,
    },
    /// An exit that this machine never asked for.
    #[error("unexpected KVM exit {exit}; {registers}")]
    Unexpected {
        /// Its name, or its number if it has none here.
        exit: String,
        /// Where the guest was.
        registers: Box<Registers>,
    },
    /// There is no thread for it.
    #[error("no thread for a vCPU")]
    Thread(#[source] std::io::Error),
    /// The thread that ran it panicked.
    #[error("the thread of a vCPU ended")]
    Lost,
    /// Not even the registers could be read.
    #[error(transparent)]
    Vcpu(#[from] VcpuError),
}

impl StopError {
    /// Whether KVM met an instruction of the guest's that it would have had to emulate and could not.
    pub fn lacks_an_instruction(&self) -> bool {
        let Self::Internal { kind, .. } = self else {
            return false;
        };
        *kind == Internal(KVM_INTERNAL_ERROR_EMULATION)
    }
}

/// `KVM_EXIT_INTERNAL_ERROR`'s suberror.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Internal(pub u32);

impl fmt::Display for Internal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            KVM_INTERNAL_ERROR_EMULATION => "an instruction that it can't emulate",
            KVM_INTERNAL_ERROR_SIMUL_EX => "two exceptions at once",
            KVM_INTERNAL_ERROR_DELIVERY_EV => "a fault while an event was delivered",
            KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON => "an unexpected exit of the hardware",
            _ => "unknown",
        };
        write!(f, "{name} (suberror {})", self.0)
    }
}

/// The bytes from RIP on, where KVM tells them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instruction(Vec<u8>);

impl Instruction {
    /// Reads what comes with suberror 1: flags, then, if the first of them is set, a length and
    /// 15 bytes (`struct kvm_run`, `emulation_failure`).
    fn from_data(data: &[u64]) -> Self {
        const HAS_INSTRUCTION: u64 = 1;
        let [flags, low, high, ..] = data else {
            return Self::default();
        };
        if flags & HAS_INSTRUCTION == 0 {
            return Self::default();
        }
        let bytes = [low.to_le_bytes(), high.to_le_bytes()].concat();
        let length = usize::from(bytes[0]).min(bytes.len() - 1);
        Self(bytes[1..=length].to_vec())
    }
}

impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        f.write_str(", instruction")?;
        self.0.iter().try_for_each(|byte| write!(f, " {byte:02x}"))
    }
}

/// An exit that ends the loop, free of the borrow of the vCPU.
enum Final {
    Stop(Stop),
    Internal,
    Entry(u64),
    TripleFault,
    Unexpected(String),
}

impl Vcpu {
    /// Runs the guest on the calling thread until it stops.
    ///
    /// # Errors
    ///
    /// When it can't go on.
    pub fn run(&mut self, bus: &Bus, end: &EndLine) -> Result<Stop, StopError> {
        self.run_unless(bus, end, || false)
    }

    /// The same, but as if kicked if `is_over` says so: that is asked when a kick of this thread
    /// counts already, so whoever first makes it true and then kicks is not missed.
    pub(super) fn run_unless(
        &mut self,
        bus: &Bus,
        end: &EndLine,
        is_over: impl FnOnce() -> bool,
    ) -> Result<Stop, StopError> {
        let _kickable = Kickable::new(&mut self.fd);
        if is_over() {
            return Ok(Stop::Kicked);
        }
        let last = loop {
            match self.fd.run() {
                // Ports are a byte wide and answer alike whether a string instruction made
                // several accesses of one, or one instruction a wide one.
                Ok(VcpuExit::IoIn(port, data)) => bus.pio_read(port, data),
                Ok(VcpuExit::IoOut(port, data)) => {
                    match (&self.extended_state, Request::of(port, data)) {
                        (Some(state), Some(request)) => state.answer(&self.fd, request),
                        _ => bus.pio_write(port, data),
                    }
                    if let Some(ending) = end.pulled() {
                        break Final::Stop(Stop::Ended(ending));
                    }
                }
                Ok(VcpuExit::MmioRead(address, data)) => bus.mmio_read(address, data),
                Ok(VcpuExit::MmioWrite(address, data)) => bus.mmio_write(address, data),
                Ok(VcpuExit::Hlt) => break Final::Stop(Stop::Halted),
                Ok(VcpuExit::Shutdown) => break Final::TripleFault,
                Ok(VcpuExit::InternalError) => break Final::Internal,
                Ok(VcpuExit::FailEntry(reason, _cpu)) => break Final::Entry(reason),
                Ok(VcpuExit::Unsupported(number)) => {
                    break Final::Unexpected(format!("number {number}"));
                }
                Ok(exit) => break Final::Unexpected(format!("{exit:?}")),
                Err(error) => match error.errno() {
                    libc::EINTR => {
                        self.fd.set_kvm_immediate_exit(0);
                        break Final::Stop(Stop::Kicked);
                    }
                    // KVM asks to be called again.
                    libc::EAGAIN => {}
                    _ => return Err(StopError::Run(error)),
                },
            }
        };
        self.conclude(last)
    }

    fn conclude(&mut self, last: Final) -> Result<Stop, StopError> {
        let registers = match last {
            Final::Stop(stop) => return Ok(stop),
            _ => self.registers()?,
        };
        let at = Box::new(registers);
        Err(match last {
            Final::Stop(stop) => return Ok(stop),
            Final::TripleFault => return Ok(Stop::TripleFault(registers)),
            Final::Entry(reason) => StopError::Entry {
                reason,
                registers: at,
            },
            Final::Unexpected(exit) => StopError::Unexpected {
                exit,
                registers: at,
            },
            Final::Internal => {
                let run = self.fd.get_kvm_run();
                // SAFETY: the last exit was an internal error, so `internal` is what the kernel
                // wrote; all of its bit patterns are valid numbers.
                let internal = unsafe { run.__bindgen_anon_1.internal };
                let told = (internal.ndata as usize).min(internal.data.len());
                StopError::Internal {
                    kind: Internal(internal.suberror),
                    instruction: if internal.suberror == KVM_INTERNAL_ERROR_EMULATION {
                        Instruction::from_data(&internal.data[..told])
                    } else {
                        Instruction::default()
                    },
                    registers: at,
                }
            }
        })
    }
}

#[cfg(test)]
mod tests;
