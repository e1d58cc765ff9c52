//! Guests of a few instructions that are saved in one machine and go on in another.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use kvm_bindings::kvm_dtable;
use proptest::prelude::*;
use vm_device::bus::{MmioAddress, MmioAddressOffset, PioAddress, PioAddressOffset};
use vm_device::{MutDeviceMmio, MutDevicePio};
use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::boot::{Start, page_tables};
use crate::bus::Bus;
use crate::devices::SavedState;
use crate::ending::EndLine;
use crate::memory::{self, GuestMemory};
use crate::vcpu::{HostCpuid, Kick, Stop, VcpuCount};
use crate::vm::VmState;

const CODE: u64 = 0x1_0000;
const HANDLER: u64 = 0x1_1000;
const INTERRUPT_TABLE: u64 = 0x1_2000;
const STACK_TOP: u64 = 0x1_4000;
const DATA: u64 = 0x1_5000;
const MEMORY_BYTES: u64 = 0x2_0000;
/// In the first GiB, which the page tables cover, and behind memory.
const DEVICE: u64 = 0x1000_0000;
const PORT: u16 = 0x10;
const VECTOR: u8 = 0x40;

/// Counts accesses, answers a read with their number, and kicks the vCPU at each.
struct Device {
    kick: Kick,
    accesses: u8,
    written: Vec<u8>,
}

impl Device {
    fn read(&mut self, data: &mut [u8]) {
        self.kick.kick().unwrap();
        self.accesses += 1;
        data.fill(0);
        data[0] = self.accesses;
    }

    fn write(&mut self, data: &[u8]) {
        self.kick.kick().unwrap();
        self.accesses += 1;
        self.written.push(data[0]);
    }
}

impl MutDeviceMmio for Device {
    fn mmio_read(&mut self, _: MmioAddress, _: MmioAddressOffset, data: &mut [u8]) {
        self.read(data);
    }

    fn mmio_write(&mut self, _: MmioAddress, _: MmioAddressOffset, data: &[u8]) {
        self.write(data);
    }
}

impl SavedState for Device {
    type State = ();
    type Error = Infallible;

    fn save(&mut self) {}

    fn restore(&mut self, (): ()) -> Result<(), Infallible> {
        Ok(())
    }
}

impl MutDevicePio for Device {
    fn pio_read(&mut self, _: PioAddress, _: PioAddressOffset, data: &mut [u8]) {
        self.read(data);
    }

    fn pio_write(&mut self, _: PioAddress, _: PioAddressOffset, data: &[u8]) {
        self.write(data);
    }
}

/// All of a machine that is saved, memory included.
struct Saved {
    vcpu: VcpuState,
    vm: VmState,
    memory: Vec<u8>,
    device: Arc<Mutex<Device>>,
}

/// A full machine with one device, at [`DEVICE`] and at [`PORT`].
struct Machine {
    kvm: Kvm,
    vcpu: Vcpu,
    bus: Bus,
    device: Arc<Mutex<Device>>,
    vm: Vm,
}

impl Machine {
    /// In 64-bit mode, ring 0, at the start of `code`, with an interrupt handler that writes to
    /// the port and returns; `None` if the test is to be skipped.
    fn new(code: &[u8]) -> Option<Self> {
        let kvm = crate::kvm_for_test()?;
        let memory = memory::allocate(MEMORY_BYTES).unwrap();
        let cr3 = page_tables::write(&memory).unwrap();
        memory.write_slice(code, GuestAddress(CODE)).unwrap();
        write_handler(&memory);
        let vm = Vm::new(&kvm, memory).unwrap();
        let start = Start::Long { rip: CODE, cr3 };
        let (vcpu, _) =
            Vcpu::all(&vm, &HostCpuid::of(&kvm).unwrap(), VcpuCount::ONE, start).unwrap();
        let mut sregs = vcpu.fd.get_sregs().unwrap();
        sregs.idt = kvm_dtable {
            base: INTERRUPT_TABLE,
            limit: 0xfff,
            ..Default::default()
        };
        vcpu.fd.set_sregs(&sregs).unwrap();
        let mut regs = vcpu.fd.get_regs().unwrap();
        regs.rsp = STACK_TOP;
        vcpu.fd.set_regs(&regs).unwrap();
        let device = Arc::new(Mutex::new(Device {
            kick: Kick::this_thread().unwrap(),
            accesses: 0,
            written: Vec::new(),
        }));
        Some(Self::with(kvm, vm, vcpu, device))
    }

    fn with(kvm: Kvm, vm: Vm, vcpu: Vcpu, device: Arc<Mutex<Device>>) -> Self {
        let mut bus = Bus::default();
        bus.attach_mmio(DEVICE, 0x1000, device.clone()).unwrap();
        bus.attach_pio(PORT, 1, device.clone()).unwrap();
        Self {
            kvm,
            vcpu,
            bus,
            device,
            vm,
        }
    }

    fn run(&mut self) {
        let stop = self.vcpu.run(&self.bus, &EndLine::default());
        assert_eq!(stop.unwrap(), Stop::Kicked);
    }

    /// Runs it until it halts.
    fn run_until_halted(&mut self) {
        let kick = Kick::this_thread().unwrap();
        for _ in 0..1000 {
            thread::scope(|scope| {
                scope.spawn(move || {
                    thread::sleep(Duration::from_millis(5));
                    kick.kick().unwrap();
                });
                self.run();
            });
            if self.vcpu.fd.get_mp_state().unwrap().mp_state == KVM_MP_STATE_HALTED {
                return;
            }
        }
        panic!("the guest does not halt");
    }

    fn save(&mut self) -> Saved {
        let mut memory = vec![0; MEMORY_BYTES as usize];
        let vcpu = self.vcpu.save(&self.kvm).unwrap();
        let vm = self.vm.save().unwrap();
        self.vm
            .memory()
            .read_slice(&mut memory, GuestAddress(0))
            .unwrap();
        Saved {
            vcpu,
            vm,
            memory,
            device: self.device.clone(),
        }
    }

    /// Another machine, which goes on where `saved` was, by way of bytes.
    fn restored(saved: &Saved) -> Self {
        let bytes = postcard::to_stdvec(&(&saved.vcpu, &saved.vm)).unwrap();
        let (vcpu, vm_state): (VcpuState, VmState) = postcard::from_bytes(&bytes).unwrap();
        let kvm = Kvm::new().unwrap();
        let memory = memory::allocate(MEMORY_BYTES).unwrap();
        memory.write_slice(&saved.memory, GuestAddress(0)).unwrap();
        let vm = Vm::new(&kvm, memory).unwrap();
        let vcpu = Vcpu::restore(&kvm, &vm, 0, &vcpu).unwrap();
        vm.restore(&vm_state).unwrap();
        Self::with(kvm, vm, vcpu, saved.device.clone())
    }

    /// Itself in another machine.
    fn moved(mut self) -> Self {
        let saved = self.save();
        drop(self);
        Self::restored(&saved)
    }

    fn written(&self) -> Vec<u8> {
        self.device.lock().unwrap().written.clone()
    }

    fn accesses(&self) -> u8 {
        self.device.lock().unwrap().accesses
    }

    fn data(&self) -> u32 {
        self.vm.memory().read_obj(GuestAddress(DATA)).unwrap()
    }
}

/// Writes an interrupt table whose every gate leads to `out PORT, al; iretq`.
fn write_handler(memory: &GuestMemory) {
    // Intel SDM volume 3, 6.14.1: an interrupt gate to the code segment of the boot GDT.
    let gate = HANDLER & 0xffff | 0x10 << 16 | 0x8e00 << 32 | (HANDLER >> 16) << 48;
    for vector in 0..256 {
        let address = GuestAddress(INTERRUPT_TABLE + vector * 16);
        memory.write_obj(gate, address).unwrap();
    }
    let handler = [0xe6, PORT as u8, 0x48, 0xcf];
    memory.write_slice(&handler, GuestAddress(HANDLER)).unwrap();
}

/// `again: body; jmp again`
fn forever(setup: &[u8], body: &[u8]) -> Vec<u8> {
    let back = -(body.len() as i8 + 2);
    [setup, body, &[0xeb, back as u8]].concat()
}

/// `mov ebx, DEVICE; mov edi, DATA`
fn addresses() -> Vec<u8> {
    [
        &[0xbb][..],
        &(DEVICE as u32).to_le_bytes(),
        &[0xbf],
        &(DATA as u32).to_le_bytes(),
    ]
    .concat()
}

#[test]
fn a_guest_goes_on_counting_in_another_machine() {
    let body = [
        0xff, 0xc0, // inc eax
        0xff, 0x07, // inc dword [rdi]
        0xe6, PORT as u8, // out PORT, al
    ];
    let Some(mut machine) = Machine::new(&forever(&addresses(), &body)) else {
        return;
    };
    for _ in 0..3 {
        machine.run();
        machine = machine.moved();
        machine.run();
    }
    assert_eq!(machine.written(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(machine.data(), 6);
}

#[test]
fn a_saved_machine_goes_on_too() {
    let body = [0xff, 0xc0, 0xe6, PORT as u8]; // inc eax; out PORT, al
    let Some(mut machine) = Machine::new(&forever(&[], &body)) else {
        return;
    };
    for _ in 0..3 {
        machine.run();
        machine.save();
    }
    assert_eq!(machine.written(), [1, 2, 3]);
}

#[test]
fn an_access_that_was_answered_just_before_is_made_once() {
    for (what, access, accesses) in [
        // mov [rbx], al
        ("memory write", &[0x88, 0x03][..], 1),
        // movzx eax, byte [rbx]; mov [rdi], eax
        ("memory read", &[0x0f, 0xb6, 0x03, 0x89, 0x07], 1),
        // out PORT, al
        ("port write", &[0xe6, PORT as u8], 1),
        // in al, PORT; mov [rdi], eax
        ("port read", &[0xe4, PORT as u8, 0x89, 0x07], 1),
        // mov [rbx + 0xffc], rax, which leaves the device after its half
        ("page crossing", &[0x48, 0x89, 0x83, 0xfc, 0x0f, 0, 0], 1),
    ] {
        // ...; mov al, 77; out PORT, al
        let code = [&addresses(), access, &[0xb0, 77, 0xe6, PORT as u8][..]].concat();
        let Some(mut machine) = Machine::new(&code) else {
            return;
        };
        machine.run();
        assert_eq!(machine.accesses(), accesses, "{what}");
        let mut machine = machine.moved();
        machine.run();
        assert_eq!(machine.accesses(), accesses + 1, "{what}");
        assert_eq!(machine.written().last(), Some(&77), "{what}");
        if what.ends_with("read") {
            assert_eq!(machine.data(), 1, "{what}");
        }
    }
}

#[test]
fn an_instruction_that_waits_for_a_device_is_not_saved() {
    // mov [rbx + 0xffc], rax: two accesses
    let code = [&addresses()[..], &[0x48, 0x89, 0x83, 0xfc, 0x0f, 0, 0]].concat();
    let Some(mut machine) = Machine::new(&code) else {
        return;
    };
    assert!(matches!(
        machine.vcpu.fd.run(),
        Ok(kvm_ioctls::VcpuExit::MmioWrite(..))
    ));
    let result = machine.vcpu.save(&machine.kvm);
    assert!(matches!(result, Err(StateError::InFlight)), "{result:?}");
}

#[test]
fn vector_registers_go_along() {
    // The standard format of XSAVE, Intel SDM volume 1, 13.4. Fields are numbers of `u32`s.
    const MXCSR: usize = 24 / 4;
    const XMM: std::ops::Range<usize> = 160 / 4..416 / 4;
    const HEADER: usize = 512 / 4;
    const UPPER_YMM: std::ops::Range<usize> = 576 / 4..832 / 4;
    const SSE_AND_AVX: u32 = 0b110;
    if !std::is_x86_feature_detected!("avx") {
        eprintln!("SKIPPED: this processor has no AVX");
        return;
    }
    let Some(machine) = Machine::new(&[0xf4]) else {
        return;
    };
    let mut state = kvm_xsave::default();
    state.region[MXCSR] = 0x1f80;
    state.region[HEADER] = SSE_AND_AVX;
    state.region[XMM].fill(0x1234_5678);
    state.region[UPPER_YMM].fill(0x9abc_def0);
    extended_state::set(&machine.vcpu.fd, &state).unwrap();
    let machine = machine.moved();
    let restored = machine.vcpu.fd.get_xsave().unwrap();
    assert_eq!(restored.region[XMM], state.region[XMM]);
    assert_eq!(restored.region[UPPER_YMM], state.region[UPPER_YMM]);
}

#[test]
fn registers_of_kvm_go_along() {
    const ENABLED: u64 = 1;
    let Some(machine) = Machine::new(&[0xf4]) else {
        return;
    };
    let expected = [
        Msr {
            index: msrs::KVM_SYSTEM_TIME,
            data: DATA | ENABLED,
        },
        Msr {
            index: 0xc000_0082,
            data: 0xffff_ffff_8100_0000,
        },
    ];
    assert_eq!(msrs::write(&machine.vcpu.fd, &expected).unwrap(), None);
    let machine = machine.moved();
    let indices = expected.map(|msr| msr.index);
    let restored = msrs::read(&machine.vcpu.fd, &indices).unwrap();
    assert_eq!(restored, expected);
}

#[test]
fn time_goes_on_from_where_it_was() {
    let Some(mut machine) = Machine::new(&[0xf4]) else {
        return;
    };
    const HOUR_NS: u64 = 3_600_000_000_000;
    let ahead = kvm_bindings::kvm_clock_data {
        clock: HOUR_NS,
        ..Default::default()
    };
    machine.vm.fd().set_clock(&ahead).unwrap();
    let saved = machine.save();
    let machine = Machine::restored(&saved);
    let clock_ns = machine.vm.fd().get_clock().unwrap().clock;
    assert!((HOUR_NS..2 * HOUR_NS).contains(&clock_ns), "{clock_ns}");
}

/// `sti; again: hlt; jmp again`
const WAIT: [u8; 4] = [0xfb, 0xf4, 0xeb, 0xfd];

/// Minutes away, and not so far that KVM's own arithmetic overflows.
const FAR_CYCLES: u64 = 1 << 40;

/// A machine that halted, with a timer in its local APIC whose deadline is far away.
fn waiting_for_a_deadline() -> Option<Saved> {
    // Intel SDM volume 3, 11.5.1 and 11.9.
    const LVT_TIMER: usize = 0x320;
    const DEADLINE_MODE: u32 = 0b10 << 17;
    const SPURIOUS: usize = 0xf0;
    const ENABLED: u32 = 1 << 8;
    let mut machine = Machine::new(&WAIT)?;
    let mut apic = machine.vcpu.fd.get_lapic().unwrap();
    for (register, value) in [
        (LVT_TIMER, DEADLINE_MODE | u32::from(VECTOR)),
        (SPURIOUS, ENABLED | 0xff),
    ] {
        for (byte, value) in apic.regs[register..].iter_mut().zip(value.to_le_bytes()) {
            *byte = value as _;
        }
    }
    machine.vcpu.fd.set_lapic(&apic).unwrap();
    let now = msrs::read(&machine.vcpu.fd, &[msrs::TSC]).unwrap()[0].data;
    let deadline = Msr {
        index: msrs::TSC_DEADLINE,
        data: now + FAR_CYCLES,
    };
    msrs::write(&machine.vcpu.fd, &[deadline]).unwrap();
    machine.run_until_halted();
    let saved = machine.save();
    assert_eq!(saved.vcpu.activity, Activity::Halts);
    assert!(saved.vcpu.msrs.contains(&deadline));
    Some(saved)
}

#[test]
fn a_halted_guest_wakes_at_its_deadline() {
    const SOON_CYCLES: u64 = 10_000_000;
    for deadline in [
        |tsc| tsc + SOON_CYCLES,
        // It ran out just before it was saved.
        |_| 0,
    ] {
        let Some(mut saved) = waiting_for_a_deadline() else {
            return;
        };
        let tsc = saved.vcpu.msr(msrs::TSC).unwrap();
        set_msr(&mut saved.vcpu, msrs::TSC_DEADLINE, deadline(tsc));
        let mut machine = Machine::restored(&saved);
        // A run ends, too, when the host is frozen for a moment.
        while machine.accesses() == 0 {
            machine.run();
        }
        assert_eq!(machine.accesses(), 1);
    }
}

fn set_msr(state: &mut VcpuState, index: u32, data: u64) {
    let mut msrs = state.msrs.iter_mut();
    msrs.find(|msr| msr.index == index).unwrap().data = data;
}

#[test]
fn a_deadline_is_as_far_away_as_it_was_whatever_the_time_is() {
    const OTHER_HOST: u64 = 1 << 55;
    let Some(mut saved) = waiting_for_a_deadline() else {
        return;
    };
    set_msr(&mut saved.vcpu, msrs::TSC, OTHER_HOST);
    set_msr(&mut saved.vcpu, msrs::TSC_DEADLINE, OTHER_HOST + FAR_CYCLES);
    let machine = Machine::restored(&saved);
    let read = msrs::read(&machine.vcpu.fd, &[msrs::TSC, msrs::TSC_DEADLINE]).unwrap();
    let left = read[1].data.saturating_sub(read[0].data);
    assert!((FAR_CYCLES / 2..=FAR_CYCLES).contains(&left), "{read:x?}");
}

#[test]
fn only_a_timer_that_may_be_waited_for_gets_a_deadline_that_is_over() {
    let (Some(mut idle), Some(mut waiting)) = (Machine::new(&WAIT), waiting_for_a_deadline())
    else {
        return;
    };
    let idle = idle.save().vcpu;
    assert_eq!(idle.deadline(7), None);
    for over in [0, 1] {
        set_msr(&mut waiting.vcpu, msrs::TSC_DEADLINE, over);
        assert_eq!(waiting.vcpu.deadline(7).unwrap().data, 7, "{over}");
    }
}

#[test]
fn a_halted_guest_wakes_at_the_next_tick_of_its_timer() {
    let Some(mut machine) = Machine::new(&WAIT) else {
        return;
    };
    // What a kernel does with ports: the interrupt controller's vectors, its mask, and a timer
    // of 10 ms, which ticks again and again.
    let mut pic = kvm_bindings::kvm_irqchip::default();
    machine.vm.fd().get_irqchip(&mut pic).unwrap();
    pic.chip.pic.irq_base = VECTOR;
    pic.chip.pic.imr = !1;
    machine.vm.fd().set_irqchip(&pic).unwrap();
    let mut pit = machine.vm.fd().get_pit2().unwrap();
    pit.channels[0].mode = 2;
    pit.channels[0].count = 11932;
    pit.channels[0].gate = 1;
    // Not yet running: the first machine must not see a tick.
    machine.run_until_halted();
    let mut saved = machine.save();
    drop(machine);
    saved.vm = saved.vm.with_timer(pit);
    let mut machine = Machine::restored(&saved);
    machine.run();
    assert_eq!(machine.accesses(), 1);
}

#[test]
fn lists_that_no_processor_has_are_refused() {
    let Some(mut machine) = Machine::new(&[0xf4]) else {
        return;
    };
    let mut state = machine.save().vcpu;
    let kvm = &machine.kvm;
    let vm = Vm::new(kvm, memory::allocate(MEMORY_BYTES).unwrap()).unwrap();
    let msr = Msr { index: 0, data: 0 };
    state.msrs.resize(msrs::MAX + 1, msr);
    let refused = Vcpu::restore(kvm, &vm, 0, &state).err();
    assert!(matches!(
        refused,
        Some(StateError::TooLong { list: "MSRs", .. })
    ));
    state.cpuid.resize(cpuid::MAX_ENTRIES + 1, state.cpuid[0]);
    let refused = Vcpu::restore(kvm, &vm, 0, &state).err();
    assert!(matches!(
        refused,
        Some(StateError::TooLong { list: "CPUID", .. })
    ));
}

#[test]
fn a_refused_register_is_named_if_it_is_essential() {
    let Some(mut machine) = Machine::new(&[0xf4]) else {
        return;
    };
    // Not canonical.
    let data = 1 << 63;
    for (index, name) in [(0xc000_0082, Some("0xc0000082")), (0xdead_beef, None)] {
        let mut state = machine.save().vcpu;
        state.msrs.push(Msr { index, data });
        let vm = Vm::new(&machine.kvm, memory::allocate(MEMORY_BYTES).unwrap()).unwrap();
        let refused = Vcpu::restore(&machine.kvm, &vm, 0, &state).err();
        match (&refused, name) {
            (None, None) => {}
            (Some(error), Some(name)) => assert!(error.to_string().contains(name), "{error}"),
            _ => panic!("{refused:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_state_of_nonsense_is_an_error_or_a_guests_trouble(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..64),
        length in any::<prop::sample::Index>(),
        is_cut in prop::bool::weighted(0.2),
    ) {
        let Some(mut machine) = Machine::new(&[0xf4]) else {
            return Ok(());
        };
        let saved = machine.save();
        let mut bytes = postcard::to_stdvec(&(&saved.vcpu, &saved.vm)).unwrap();
        for (place, byte) in places {
            *place.get_mut(&mut bytes) = byte;
        }
        if is_cut {
            bytes.truncate(length.index(bytes.len()));
        }
        let Ok((vcpu, vm_state)) = postcard::from_bytes::<(VcpuState, VmState)>(&bytes) else {
            return Ok(());
        };
        let kvm = machine.kvm;
        let vm = Vm::new(&kvm, memory::allocate(MEMORY_BYTES).unwrap()).unwrap();
        if let Ok(mut vcpu) = Vcpu::restore(&kvm, &vm, 0, &vcpu)
            && vm.restore(&vm_state).is_ok()
        {
            vcpu.fd.set_kvm_immediate_exit(1);
            let _ = vcpu.run(&Bus::default(), &EndLine::default());
        }
    }
}
