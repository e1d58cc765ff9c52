//! Two processors of a few instructions each.

use std::sync::Mutex;
use std::time::Duration;

use kvm_bindings::{KVM_MP_STATE_RUNNABLE, kvm_mp_state};
use kvm_ioctls::Kvm;
use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::boot::{Start, page_tables};
use crate::ending::Ending;
use crate::memory;
use crate::reset::{self, ResetPort};
use crate::vcpu::{HostCpuid, VcpuCount};
use crate::vm::Vm;

const FIRST_CODE: u64 = 0x1_0000;
const OTHER_CODE: u64 = 0x1_1000;
const COUNTERS: [u64; 2] = [0x1_2000, 0x1_2040];
const MEMORY_BYTES: u64 = 0x2_0000;

struct Machine {
    crew: Crew,
    around: Surroundings,
    vm: Vm,
    kvm: Kvm,
}

impl Machine {
    /// Two processors in 64-bit mode, ring 0, each at the start of its code; `None` if the test is
    /// to be skipped.
    fn new(first: &[u8], other: &[u8]) -> Option<Self> {
        let kvm = crate::kvm_for_test()?;
        let memory = memory::allocate(MEMORY_BYTES).unwrap();
        let cr3 = page_tables::write(&memory).unwrap();
        memory.write_slice(first, GuestAddress(FIRST_CODE)).unwrap();
        memory.write_slice(other, GuestAddress(OTHER_CODE)).unwrap();
        let vm = Vm::new(&kvm, memory).unwrap();
        let start = |rip| Start::Long { rip, cr3 };
        let two = VcpuCount::new(2).unwrap();
        let (first, others) =
            Vcpu::all(&vm, &HostCpuid::of(&kvm).unwrap(), two, start(FIRST_CODE)).unwrap();
        // As if the first one had started it.
        others[0].start_at(&vm, start(OTHER_CODE)).unwrap();
        let mp_state = KVM_MP_STATE_RUNNABLE;
        let running = kvm_mp_state { mp_state };
        others[0].fd.set_mp_state(running).unwrap();

        let end = EndLine::default();
        let mut bus = Bus::default();
        let port = Arc::new(Mutex::new(ResetPort::new(end.clone())));
        bus.attach_pio(reset::PORT, reset::PORT_COUNT, port)
            .unwrap();
        Some(Self {
            crew: Crew::new(first, others),
            around: Surroundings {
                bus: Arc::new(bus),
                end,
            },
            vm,
            kvm,
        })
    }

    /// Runs it until somebody kicks the first processor's thread, a little later.
    fn run_a_while(&mut self) {
        let kick = Kick::this_thread().unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                thread::sleep(Duration::from_millis(20));
                kick.kick().unwrap();
            });
            assert_eq!(self.crew.run(&self.around).unwrap(), Stop::Kicked);
        });
    }

    fn counters(&self) -> [u32; 2] {
        COUNTERS.map(|at| self.vm.memory().read_obj(GuestAddress(at)).unwrap())
    }
}

/// `mov edi, counter; again: inc dword [rdi]; jmp again`
fn counts(number: usize) -> Vec<u8> {
    let address = (COUNTERS[number] as u32).to_le_bytes();
    [&[0xbf][..], &address, &[0xff, 0x07, 0xeb, 0xfc]].concat()
}

/// `mov al, 0xfe; out 0x64, al`
const RESETS: [u8; 4] = [0xb0, 0xfe, 0xe6, 0x64];

/// `jmp $`
const LOOPS: [u8; 2] = [0xeb, 0xfe];

#[test]
fn whichever_stops_first_stops_all() {
    for (first, other) in [
        (&RESETS[..], &LOOPS[..]),
        (&LOOPS, &RESETS),
        (&RESETS, &RESETS),
    ] {
        let Some(mut machine) = Machine::new(first, other) else {
            return;
        };
        assert_eq!(
            machine.crew.run(&machine.around).unwrap(),
            Stop::Ended(Ending::Reset)
        );
        assert_eq!(machine.crew.others.len(), 1);
    }
}

#[test]
fn a_fault_of_one_is_told_though_the_others_are_well() {
    // ud2, without any handler
    let Some(mut machine) = Machine::new(&LOOPS, &[0x0f, 0x0b]) else {
        return;
    };
    let stop = machine.crew.run(&machine.around).unwrap();
    assert!(matches!(stop, Stop::TripleFault(_)), "{stop:?}");
}

#[test]
fn a_kick_stops_all_and_they_go_on() {
    let Some(mut machine) = Machine::new(&counts(0), &counts(1)) else {
        return;
    };
    let mut before = [0; 2];
    while machine.counters().contains(&0) {
        machine.run_a_while();
    }
    for _ in 0..3 {
        let stopped = machine.counters();
        assert!(stopped > before, "{stopped:?}");
        thread::sleep(Duration::from_millis(5));
        assert_eq!(machine.counters(), stopped);
        before = stopped;
        while (0..2).any(|it| machine.counters()[it] == before[it]) {
            machine.run_a_while();
        }
    }
}

#[test]
fn a_thread_that_can_not_begin_runs_nothing() {
    let Some(mut machine) = Machine::new(&LOOPS, &RESETS) else {
        return;
    };
    let refused = || Err(io::Error::other("refused"));
    let started = machine.crew.start_threads(&machine.around, refused);
    assert_eq!(started.unwrap_err().to_string(), "refused");
    assert!(machine.crew.workers.is_empty());
}

#[test]
fn all_go_on_in_another_machine() {
    let Some(mut machine) = Machine::new(&counts(0), &counts(1)) else {
        return;
    };
    while machine.counters().contains(&0) {
        machine.run_a_while();
    }
    let crew = &mut machine.crew;
    let states = [&mut crew.first, &mut crew.others[0]].map(|it| it.save(&machine.kvm).unwrap());
    let vm_state = machine.vm.save().unwrap();
    let counted = machine.counters();
    // Guest memory is shared, so the first machine has to be gone.
    let (memory, kvm) = (machine.vm.memory().clone(), Kvm::new().unwrap());
    let around = machine.around.clone();
    drop(machine);

    let vm = Vm::new(&kvm, memory).unwrap();
    let [first, other] = [(0, &states[0]), (1, &states[1])]
        .map(|(id, state)| Vcpu::restore(&kvm, &vm, id, state).unwrap());
    vm.restore(&vm_state).unwrap();
    let mut machine = Machine {
        crew: Crew::new(first, vec![other]),
        around,
        vm,
        kvm,
    };
    while (0..2).any(|it| machine.counters()[it] == counted[it]) {
        machine.run_a_while();
    }
}

#[test]
fn one_that_was_never_started_waits_in_another_machine_too() {
    let Some(kvm) = crate::kvm_for_test() else {
        return;
    };
    let vm = || {
        let memory = memory::allocate(MEMORY_BYTES).unwrap();
        Vm::new(&kvm, memory).unwrap()
    };
    let (saved_in, goes_on_in) = (vm(), vm());
    let cr3 = page_tables::write(saved_in.memory()).unwrap();
    let start = Start::Long {
        rip: FIRST_CODE,
        cr3,
    };
    let two = VcpuCount::new(2).unwrap();
    let (_, mut others) = Vcpu::all(&saved_in, &HostCpuid::of(&kvm).unwrap(), two, start).unwrap();
    let state = others[0].save(&kvm).unwrap();
    let restored = Vcpu::restore(&kvm, &goes_on_in, 1, &state).unwrap();
    assert_eq!(
        restored.fd.get_mp_state().unwrap(),
        others[0].fd.get_mp_state().unwrap()
    );
}
