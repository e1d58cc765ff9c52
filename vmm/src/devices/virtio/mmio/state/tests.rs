use std::sync::{Arc, Mutex};

use virtio_bindings::virtio_mmio::*;
use vm_device::MutDeviceMmio;
use vm_device::bus::MmioAddress;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::*;
use crate::devices::virtio::Interrupt;
use crate::devices::virtio::driver::{self, Driver};
use crate::devices::virtio::mmio::tests::TestDevice;
use crate::memory::GuestMemory;

const MEMORY_BYTES: u64 = 1 << 20;
const STATUSES: [u32; 5] = [0, 1, 3, 11, 15];

type Registers = MmioTransport<TestDevice>;

fn registers(memory: &GuestMemory) -> Registers {
    let device = Arc::new(Mutex::new(TestDevice::new()));
    let irqfd = EventFd::new(EFD_NONBLOCK).unwrap();
    MmioTransport::new(device, memory.clone(), Interrupt::new(irqfd))
}

fn memory() -> GuestMemory {
    crate::memory::allocate(MEMORY_BYTES).unwrap()
}

fn started(memory: &GuestMemory) -> Registers {
    let mut registers = registers(memory);
    let queues = [0x1_0000, 0x2_0000].map(|base| Driver::new(memory, base, 16));
    driver::start(&mut registers, &queues.each_ref());
    registers
}

fn read(registers: &mut Registers, register: u32) -> u32 {
    let mut data = [0; 4];
    registers.mmio_read(MmioAddress(0), register.into(), &mut data);
    u32::from_le_bytes(data)
}

fn write(registers: &mut Registers, register: u32, value: u32) {
    registers.mmio_write(MmioAddress(0), register.into(), &value.to_le_bytes());
}

#[test]
fn a_driver_goes_on_from_any_phase() {
    let memory = memory();
    for status in STATUSES {
        let mut before = match status {
            15 => started(&memory),
            _ => registers(&memory),
        };
        write(&mut before, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
        for step in STATUSES
            .into_iter()
            .filter(|step| (1..=status).contains(step))
        {
            write(&mut before, VIRTIO_MMIO_STATUS, step);
            write(&mut before, VIRTIO_MMIO_DRIVER_FEATURES, 1);
        }
        write(&mut before, VIRTIO_MMIO_QUEUE_SEL, 1);
        let mut after = registers(&memory);
        after.restore(before.save()).unwrap();
        for register in (0..0x100).step_by(4) {
            assert_eq!(
                read(&mut after, register),
                read(&mut before, register),
                "register {register:#x} at status {status}"
            );
        }
        assert_eq!(read(&mut after, VIRTIO_MMIO_STATUS), status);
        assert_eq!(lock(&after.device).served_queues().is_some(), status == 15);
    }
}

#[test]
fn an_interrupt_that_was_not_acknowledged_is_repeated_and_no_other() {
    let memory = memory();
    for raised in [false, true] {
        let mut before = started(&memory);
        if raised {
            before.interrupt.signal_used();
        }
        let mut after = registers(&memory);
        let irqfd = EventFd::new(EFD_NONBLOCK).unwrap();
        after.interrupt = Interrupt::new(irqfd.try_clone().unwrap());
        after.restore(before.save()).unwrap();
        assert!(irqfd.read().is_err());
        SavedState::resume(&mut after);
        assert_eq!(irqfd.read().is_ok(), raised);
    }
}

#[test]
fn going_on_wakes_every_queue() {
    let memory = memory();
    let mut registers = started(&memory);
    SavedState::resume(&mut registers);
    let device = lock(&registers.device);
    assert!(
        device
            .queues()
            .iter()
            .all(|slot| slot.notify.read().is_ok())
    );
}

#[test]
fn a_state_that_can_not_be_is_refused() {
    let memory = memory();
    let mut before = started(&memory);
    type Spoil = fn(&mut State<()>);
    let cases: [(Spoil, &str); 12] = [
        (|state| state.device_id = 1, "a state of virtio device 1"),
        (|state| state.config.push(0), "a configuration of 7 bytes"),
        (
            |state| state.queues.truncate(1),
            "queues that the device does not have",
        ),
        (
            |state| state.queues.swap(0, 1),
            "queues that the device does not have",
        ),
        (
            |state| state.positions.as_mut().unwrap().truncate(1),
            "queues that the device does not have",
        ),
        (
            |state| state.positions = Some(vec![QueuePosition::default(); 3]),
            "queues that the device does not have",
        ),
        (
            |state| state.driver_features |= 1 << 40,
            "features 0x10120000000, which are not offered",
        ),
        (|state| state.reasons = 4, "an interrupt for reasons 0x4"),
        (
            |state| state.phase = Phase::Driver,
            "a device that serves queues and is not ready, or the other way around",
        ),
        (
            |state| state.positions = None,
            "a device that serves queues and is not ready, or the other way around",
        ),
        (
            |state| state.queues[0].write(VIRTIO_MMIO_QUEUE_READY, 0),
            "a queue is not ready",
        ),
        (
            |state| {
                let queue = &mut state.queues[1];
                queue.write(VIRTIO_MMIO_QUEUE_READY, 0);
                queue.write(VIRTIO_MMIO_QUEUE_USED_HIGH, 1);
                queue.write(VIRTIO_MMIO_QUEUE_READY, 1);
            },
            "a ring of a queue is not in guest memory",
        ),
    ];
    for (spoil, expected) in cases {
        let mut state = before.save();
        spoil(&mut state);
        let error = registers(&memory).restore(state).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}
