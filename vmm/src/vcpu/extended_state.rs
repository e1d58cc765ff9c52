//! The registers of a guest's processes that its kernel can't reach.
//!
//! Where a host emulates ring 0, user mode runs on the processor and uses AVX and AVX-512, but a
//! kernel that switches between processes has only FXSAVE and FXRSTOR, which leave the upper
//! parts of those registers alone. KVM reaches all of them. So our kernel, when it knows of such
//! a host, asks for it: it writes the address of a task's `struct kvm_xsave`, in units of 64
//! bytes, to one of two ports (`FPU_EMULATED_SAVE` and `FPU_EMULATED_LOAD` in the patch 0007 of
//! `guest-images/kernel/patches`).

use kvm_bindings::kvm_xsave;
use kvm_ioctls::VcpuFd;
use launch::Chain;
use vm_memory::{GuestAddress, GuestMemoryBackend, GuestMemoryError, VolatileSlice};

use crate::layout;
use crate::memory::GuestMemory;

/// What a guest's kernel asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// To write all registers to memory.
    Save(GuestAddress),
    /// To take all registers from memory.
    Load(GuestAddress),
}

impl Request {
    /// Alignment of the state in memory, and unit of its address.
    const ALIGNMENT: u64 = 64;

    /// What a write of `data` to `port` asks for, if it is one that does.
    pub fn of(port: u16, data: &[u8]) -> Option<Self> {
        let number = u32::from_le_bytes(data.try_into().ok()?);
        let address = GuestAddress(u64::from(number) * Self::ALIGNMENT);
        match port {
            layout::EXTENDED_STATE_SAVE_PORT => Some(Self::Save(address)),
            layout::EXTENDED_STATE_LOAD_PORT => Some(Self::Load(address)),
            _ => None,
        }
    }
}

/// A request can't be met.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error("the state is not in guest memory")]
    Memory(#[from] GuestMemoryError),
    #[error("KVM refuses")]
    Kvm(#[from] kvm_ioctls::Error),
}

/// Answers such requests.
pub struct ExtendedState {
    memory: GuestMemory,
}

impl ExtendedState {
    /// For a guest with this memory.
    pub fn new(memory: GuestMemory) -> Self {
        Self { memory }
    }

    /// Does what is asked for, between two runs of the vCPU. The guest is not told of a failure:
    /// after one, what it wanted to save is lost, or all its registers are as after a reset.
    pub fn answer(&self, vcpu: &VcpuFd, request: Request) {
        let result = match request {
            Request::Save(address) => self.save(vcpu, address),
            Request::Load(address) => self.load(vcpu, address).or_else(|error| {
                tracing::debug!("{request:?}: {}, so the registers are reset", Chain(&error));
                // No process may find what another one left.
                Ok(set(vcpu, &kvm_xsave::default())?)
            }),
        };
        if let Err(error) = result {
            tracing::debug!("{request:?}: {}", Chain(&error));
        }
    }

    fn save(&self, vcpu: &VcpuFd, address: GuestAddress) -> Result<(), RequestError> {
        let state = vcpu.get_xsave()?;
        self.area(address)?.copy_from(&state.region);
        Ok(())
    }

    fn load(&self, vcpu: &VcpuFd, address: GuestAddress) -> Result<(), RequestError> {
        let mut state = kvm_xsave::default();
        self.area(address)?.copy_to(&mut state.region);
        Ok(set(vcpu, &state)?)
    }

    fn area(&self, address: GuestAddress) -> Result<VolatileSlice<'_>, GuestMemoryError> {
        self.memory.get_slice(address, size_of::<kvm_xsave>())
    }
}

/// Sets all extended registers.
pub fn set(vcpu: &VcpuFd, state: &kvm_xsave) -> Result<(), kvm_ioctls::Error> {
    // SAFETY: KVM reads `KVM_CAP_XSAVE2` bytes from `state`, which are the 4096 that it has unless
    // this process asked for larger registers in guests (`ARCH_REQ_XCOMP_GUEST_PERM` of
    // arch_prctl(2)), which it never does. KVM checks what it reads (`KVM_SET_XSAVE` in
    // Documentation/virt/kvm/api.rst), and no bit pattern in it reaches memory of this process.
    unsafe { vcpu.set_xsave(state) }
}

#[cfg(test)]
mod tests {
    use vm_memory::Bytes;

    use super::*;
    use crate::boot::{Start, page_tables};
    use crate::bus::Bus;
    use crate::ending::EndLine;
    use crate::memory;
    use crate::vcpu::{Stop, Vcpu};
    use crate::vm::Vm;

    const CODE: u64 = 0x1_0000;
    const AREA: u64 = 0x1_8000;
    const MEMORY_BYTES: u64 = 0x2_0000;

    // The standard format of XSAVE, Intel SDM volume 1, 13.4. Fields are numbers of `u32`s.
    const MXCSR: usize = 24 / 4;
    const HEADER: usize = 512 / 4;
    const UPPER_YMM0: usize = 576 / 4;
    const SSE_AND_AVX: u32 = 0b110;

    /// Some state, with an upper half of a vector register in it.
    fn state() -> kvm_xsave {
        let mut state = kvm_xsave::default();
        state.region[MXCSR] = 0x1f80;
        state.region[HEADER] = SSE_AND_AVX;
        state.region[UPPER_YMM0] = 0x1234_5678;
        state
    }

    struct Machine {
        vcpu: Vcpu,
        vm: Vm,
    }

    impl Machine {
        /// One that writes `number` to `port` and halts; `None` if the test is to be skipped.
        fn new(port: u16, number: u32) -> Option<Self> {
            if !std::is_x86_feature_detected!("avx") {
                eprintln!("SKIPPED: this processor has no AVX");
                return None;
            }
            let kvm = crate::kvm_for_test()?;
            let memory = memory::allocate(MEMORY_BYTES).unwrap();
            let cr3 = page_tables::write(&memory).unwrap();
            let code = [
                &[0xb8][..],
                &number.to_le_bytes(), // mov eax, number
                &[0x66, 0xba],
                &port.to_le_bytes(), // mov dx, port
                &[0xef],             // out dx, eax
                &[0xf4],             // hlt
            ]
            .concat();
            memory.write_slice(&code, GuestAddress(CODE)).unwrap();
            let vm = Vm::bare(&kvm, memory).unwrap();
            let vcpu = Vcpu::new_bare(&kvm, &vm, Start::Long { rip: CODE, cr3 }).unwrap();
            set(&vcpu.fd, &state()).unwrap();
            Some(Self { vcpu, vm })
        }

        fn with_extended_state(mut self) -> Self {
            self.vcpu.switch_extended_state(self.vm.memory().clone());
            self
        }

        /// With `state` in its memory.
        fn with_area(self, state: &kvm_xsave) -> Self {
            let area = GuestAddress(AREA);
            let area = self
                .vm
                .memory()
                .get_slice(area, size_of_val(state))
                .unwrap();
            area.copy_from(&state.region);
            self
        }

        fn run(&mut self) {
            let stop = self.vcpu.run(&Bus::default(), &EndLine::default());
            assert_eq!(stop.unwrap(), Stop::Halted);
        }

        fn area(&self, field: usize) -> u32 {
            let address = GuestAddress(AREA + 4 * field as u64);
            self.vm.memory().read_obj(address).unwrap()
        }

        fn register(&self, field: usize) -> u32 {
            self.vcpu.fd.get_xsave().unwrap().region[field]
        }
    }

    const AREA_NUMBER: u32 = (AREA / Request::ALIGNMENT) as u32;

    #[test]
    fn a_guest_saves_what_its_kernel_cant_reach() {
        let Some(machine) = Machine::new(layout::EXTENDED_STATE_SAVE_PORT, AREA_NUMBER) else {
            return;
        };
        let mut machine = machine.with_extended_state();
        machine.run();
        assert_eq!(machine.area(UPPER_YMM0), 0x1234_5678);
        assert_eq!(machine.register(UPPER_YMM0), 0x1234_5678);
    }

    #[test]
    fn a_guest_loads_what_its_kernel_cant_reach() {
        let Some(machine) = Machine::new(layout::EXTENDED_STATE_LOAD_PORT, AREA_NUMBER) else {
            return;
        };
        let mut other = state();
        other.region[UPPER_YMM0] = 42;
        let mut machine = machine.with_extended_state().with_area(&other);
        machine.run();
        assert_eq!(machine.register(UPPER_YMM0), 42);
    }

    #[test]
    fn a_state_that_cant_be_loaded_resets_the_registers() {
        let mut refused = kvm_xsave::default();
        refused.region.fill(u32::MAX);
        for number in [AREA_NUMBER, u32::MAX, (MEMORY_BYTES / 64 - 1) as u32] {
            let Some(machine) = Machine::new(layout::EXTENDED_STATE_LOAD_PORT, number) else {
                return;
            };
            let mut machine = machine.with_extended_state().with_area(&refused);
            machine.run();
            assert_eq!(machine.register(UPPER_YMM0), 0, "{number:#x}");
        }
    }

    #[test]
    fn a_state_is_saved_to_guest_memory_only() {
        for number in [u32::MAX, (MEMORY_BYTES / 64 - 1) as u32] {
            let Some(machine) = Machine::new(layout::EXTENDED_STATE_SAVE_PORT, number) else {
                return;
            };
            let mut machine = machine.with_extended_state();
            machine.run();
            assert_eq!(machine.register(UPPER_YMM0), 0x1234_5678, "{number:#x}");
        }
    }

    #[test]
    fn without_an_emulated_ring_0_nobody_answers() {
        for port in [
            layout::EXTENDED_STATE_SAVE_PORT,
            layout::EXTENDED_STATE_LOAD_PORT,
        ] {
            let Some(mut machine) = Machine::new(port, AREA_NUMBER) else {
                return;
            };
            machine.run();
            assert_eq!(machine.area(UPPER_YMM0), 0);
            assert_eq!(machine.register(UPPER_YMM0), 0x1234_5678);
        }
    }

    #[test]
    fn only_one_32_bit_write_to_the_ports_is_a_request() {
        let save = layout::EXTENDED_STATE_SAVE_PORT;
        for (port, data, expected) in [
            (
                save,
                &[1, 0, 0, 0][..],
                Some(Request::Save(GuestAddress(64))),
            ),
            (save, &[1], None),
            (save, &[1, 0, 0, 0, 1, 0, 0, 0], None),
            (save + 1, &[1, 0, 0, 0], None),
            (
                layout::EXTENDED_STATE_LOAD_PORT,
                &[0xff; 4],
                Some(Request::Load(GuestAddress(0x3f_ffff_ffc0))),
            ),
        ] {
            assert_eq!(Request::of(port, data), expected, "{port:#x} {data:?}");
        }
    }
}
