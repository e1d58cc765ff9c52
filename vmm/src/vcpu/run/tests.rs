//! Guests of a few instructions, on real KVM.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::thread;

use vm_device::bus::{MmioAddress, MmioAddressOffset, PioAddress, PioAddressOffset};
use vm_device::{MutDeviceMmio, MutDevicePio};
use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::boot::{Start, page_tables};
use crate::devices::SavedState;
use crate::memory;
use crate::reset::{self, ResetPort};
use crate::vcpu::Kick;
use crate::vm::Vm;

/// Where the code is; RBP points right behind it.
const CODE: u64 = 0x1_0000;
const MEMORY_BYTES: u64 = 0x2_0000;
/// In the first GiB, which the page tables cover, and behind memory.
const DEVICE: u64 = 0x1000_0000;
const PORT: u16 = 0x10;

/// Remembers what was written to it, and answers with 42.
#[derive(Default)]
struct Device {
    written: Vec<(u64, Vec<u8>)>,
}

impl Device {
    fn write(&mut self, offset: u64, data: &[u8]) {
        self.written.push((offset, data.to_vec()));
    }
}

impl MutDeviceMmio for Device {
    fn mmio_read(&mut self, _: MmioAddress, _: MmioAddressOffset, data: &mut [u8]) {
        data.fill(42);
    }

    fn mmio_write(&mut self, _: MmioAddress, offset: MmioAddressOffset, data: &[u8]) {
        self.write(offset, data);
    }
}

impl MutDevicePio for Device {
    fn pio_read(&mut self, _: PioAddress, _: PioAddressOffset, data: &mut [u8]) {
        data.fill(42);
    }

    fn pio_write(&mut self, _: PioAddress, offset: PioAddressOffset, data: &[u8]) {
        self.write(offset.into(), data);
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

/// A machine without interrupts, with a device at [`DEVICE`] and one at [`PORT`].
struct Machine {
    vcpu: Vcpu,
    bus: Bus,
    end: EndLine,
    mmio: Arc<Mutex<Device>>,
    pio: Arc<Mutex<Device>>,
    _vm: Vm,
}

impl Machine {
    /// In 64-bit mode, ring 0, at the start of `code`; `None` if the test is to be skipped.
    fn new(code: &[u8]) -> Option<Self> {
        let kvm = crate::kvm_for_test()?;
        let memory = memory::allocate(MEMORY_BYTES).unwrap();
        let cr3 = page_tables::write(&memory).unwrap();
        memory.write_slice(code, GuestAddress(CODE)).unwrap();
        let vm = Vm::bare(&kvm, memory).unwrap();
        let vcpu = Vcpu::new_bare(&kvm, &vm, Start::Long { rip: CODE, cr3 }).unwrap();
        let end = EndLine::default();
        let mut machine = Self {
            vcpu,
            bus: Bus::default(),
            mmio: Arc::default(),
            pio: Arc::default(),
            _vm: vm,
            end: end.clone(),
        };
        let bus = &mut machine.bus;
        bus.attach_mmio(DEVICE, 0x1000, machine.mmio.clone())
            .unwrap();
        bus.attach_pio(PORT, 4, machine.pio.clone()).unwrap();
        bus.attach_pio(
            reset::PORT,
            reset::PORT_COUNT,
            Arc::new(Mutex::new(ResetPort::new(end))),
        )
        .unwrap();
        Some(machine)
    }

    fn run(&mut self) -> Result<Stop, StopError> {
        self.vcpu.run(&self.bus, &self.end)
    }

    /// What was written to the port.
    fn port(&self) -> Vec<(u64, Vec<u8>)> {
        self.pio.lock().unwrap().written.clone()
    }
}

#[test]
fn a_guest_that_halts_without_interrupts_stops() {
    // hlt
    let Some(mut machine) = Machine::new(&[0xf4]) else {
        return;
    };
    assert_eq!(machine.run().unwrap(), Stop::Halted);
}

#[test]
fn a_triple_fault_stops_the_guest_and_tells_where() {
    // ud2, without an interrupt table
    let Some(mut machine) = Machine::new(&[0x0f, 0x0b]) else {
        return;
    };
    let stop = machine.run().unwrap();
    let Stop::TripleFault(registers) = stop else {
        panic!("{stop:?}");
    };
    assert!(registers.to_string().starts_with("rip=0x"), "{registers}");
}

#[test]
fn memory_accesses_reach_the_device() {
    let code = [
        &[0xbb][..],
        &(DEVICE as u32).to_le_bytes(),  // mov ebx, DEVICE
        &[0xc7, 0x43, 0x08, 1, 2, 3, 4], // mov dword [rbx + 8], 0x04030201
        &[0x8b, 0x03],                   // mov eax, [rbx]
        &[0xe7, PORT as u8],             // out PORT, eax
        &[0xf4],
    ]
    .concat();
    let Some(mut machine) = Machine::new(&code) else {
        return;
    };
    assert_eq!(machine.run().unwrap(), Stop::Halted);
    let written = machine.mmio.lock().unwrap().written.clone();
    assert_eq!(written, [(8, vec![1, 2, 3, 4])]);
    assert_eq!(machine.port(), [(0, vec![42; 4])]);
}

#[test]
fn port_accesses_reach_the_device() {
    let code = [
        0xe4,
        PORT as u8, // in al, PORT
        0xe6,
        PORT as u8 + 1, // out PORT + 1, al
        0xf4,
    ];
    let Some(mut machine) = Machine::new(&code) else {
        return;
    };
    assert_eq!(machine.run().unwrap(), Stop::Halted);
    assert_eq!(machine.port(), [(1, vec![42])]);
}

#[test]
fn every_byte_of_a_string_reaches_the_port() {
    let code = [
        &[0xbe][..],
        &(CODE as u32 + 0x100).to_le_bytes(), // mov esi, CODE + 0x100
        &[0xb9, 3, 0, 0, 0],                  // mov ecx, 3
        &[0x66, 0xba, PORT as u8, 0],         // mov dx, PORT
        &[0xf3, 0x6e],                        // rep outsb
        &[0xf4],
    ]
    .concat();
    let Some(mut machine) = Machine::new(&code) else {
        return;
    };
    let memory = machine._vm.memory();
    memory
        .write_slice(b"abc", GuestAddress(CODE + 0x100))
        .unwrap();
    assert_eq!(machine.run().unwrap(), Stop::Halted);
    let bytes: Vec<u8> = machine
        .port()
        .into_iter()
        .flat_map(|(_, data)| data)
        .collect();
    assert_eq!(bytes, b"abc");
}

#[test]
fn where_no_device_is_all_bits_are_set_and_the_guest_goes_on() {
    let code = [
        &[0xbb][..],
        &(DEVICE as u32 + 0x10_0000).to_le_bytes(), // mov ebx, ...
        &[0x89, 0x03],                              // mov [rbx], eax
        &[0x8b, 0x03],                              // mov eax, [rbx]
        &[0xe7, PORT as u8],                        // out PORT, eax
        &[0xf4],
    ]
    .concat();
    let Some(mut machine) = Machine::new(&code) else {
        return;
    };
    assert_eq!(machine.run().unwrap(), Stop::Halted);
    assert_eq!(machine.port(), [(0, vec![0xff; 4])]);
}

#[test]
fn a_pulled_reset_line_stops_the_guest() {
    let code = [
        0xb0, 0xfe, // mov al, 0xfe
        0xe6, 0x64, // out 0x64, al
        0xf4,
    ];
    let Some(mut machine) = Machine::new(&code) else {
        return;
    };
    assert_eq!(machine.run().unwrap(), Stop::Ended(Ending::Reset));
}

#[test]
fn a_kick_stops_a_guest_that_never_exits_and_it_can_go_on() {
    // jmp $
    let Some(mut machine) = Machine::new(&[0xeb, 0xfe]) else {
        return;
    };
    let kick = Kick::this_thread().unwrap();
    for _ in 0..3 {
        thread::scope(|scope| {
            // From here on a kick counts, even one that comes before the guest runs.
            let _kickable = Kickable::new(&mut machine.vcpu.fd);
            scope.spawn(move || kick.kick().unwrap());
            assert_eq!(
                machine.vcpu.run(&machine.bus, &machine.end).unwrap(),
                Stop::Kicked
            );
        });
    }
}

#[test]
fn an_instruction_that_cant_be_emulated_is_an_error_that_shows_it() {
    // popcnt eax, eax; hlt
    let Some(mut machine) = Machine::new(&[0xf3, 0x0f, 0xb8, 0xc0, 0xf4]) else {
        return;
    };
    match machine.run() {
        Ok(Stop::Halted) => eprintln!("SKIPPED: this host's ring 0 is not emulated"),
        Err(error @ StopError::Internal { .. }) => {
            assert!(error.lacks_an_instruction());
            let text = error.to_string();
            assert!(text.contains("suberror 1"), "{text}");
            assert!(text.contains("f3 0f b8 c0"), "{text}");
            assert!(text.contains("rip=0x10000"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_kvm_tells_of_an_instruction_is_not_believed() {
    for (data, expected) in [
        (&[][..], ""),
        (&[1], ""),
        (&[0, 0x000b_0f02, 0], ""),
        (&[1, 0x000b_0f02, 0], ", instruction 0f 0b"),
        (
            &[1, 0xff, 0],
            ", instruction 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
        ),
    ] {
        assert_eq!(
            Instruction::from_data(data).to_string(),
            expected,
            "{data:x?}"
        );
    }
}
