use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use virtio_bindings::virtio_mmio::*;
use vm_device::MutDeviceMmio;
use vm_device::bus::MmioAddress;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::*;
use crate::devices::StateBytes;
use crate::devices::virtio::block::Access;
use crate::devices::virtio::driver::{self, Driver, readable, writable};
use crate::devices::virtio::mmio::MmioTransport;
use crate::devices::virtio::{Interrupt, VirtioDevice};

const MEMORY_BYTES: u64 = 1 << 20;
const RINGS: u64 = 0x1000;
const BUFFERS: u64 = 0x1_0000;
const STRIDE: u64 = 0x1000;
/// Where a request has its data and its status, from its header on.
const DATA: u64 = 0x100;
const STATUS: u64 = 0x800;

const QUEUE_SIZE: u16 = 16;
/// Each takes three descriptors.
const MAX_IN_FLIGHT: usize = 5;
const SECTORS: u64 = 32;

fn sector(number: u64) -> Vec<u8> {
    vec![number as u8 + 1; 512]
}

fn image(sectors: u64) -> File {
    let mut file = tempfile::tempfile().unwrap();
    for number in 0..sectors {
        file.write_all(&sector(number)).unwrap();
    }
    file
}

/// A guest with a driver, and a disk behind its transport.
struct Guest {
    driver: Driver,
    registers: MmioTransport<Block>,
    disk: Arc<Mutex<Block>>,
    irqfd: EventFd,
    /// Sectors that were asked for and not answered yet.
    in_flight: VecDeque<u64>,
    asked: u64,
    answered: u64,
}

impl Guest {
    fn new(sectors: u64) -> Self {
        let memory = crate::memory::allocate(MEMORY_BYTES).unwrap();
        let driver = Driver::new(&memory, RINGS, QUEUE_SIZE);
        let mut guest = Self::without_driver(driver, sectors);
        driver::start(&mut guest.registers, &[&guest.driver]);
        guest
    }

    fn without_driver(driver: Driver, sectors: u64) -> Self {
        let disk = Block::new(image(sectors), Access::ReadOnly, "serial".parse().unwrap()).unwrap();
        let disk = Arc::new(Mutex::new(disk));
        let irqfd = EventFd::new(EFD_NONBLOCK).unwrap();
        let interrupt = Interrupt::new(irqfd.try_clone().unwrap());
        Self {
            registers: MmioTransport::new(disk.clone(), driver.memory.clone(), interrupt),
            driver,
            disk,
            irqfd,
            in_flight: VecDeque::new(),
            asked: 0,
            answered: 0,
        }
    }

    /// The guest on another machine, whose disk has so many sectors. What was signalled on the
    /// old one's eventfds is lost.
    fn moved(mut self, sectors: u64) -> Self {
        let state = self.registers.save_bytes().unwrap();
        let mut other = Self {
            in_flight: self.in_flight,
            asked: self.asked,
            answered: self.answered,
            ..Self::without_driver(self.driver, sectors)
        };
        other.registers.restore_bytes(&state).unwrap();
        assert!(other.irqfd.read().is_err(), "it interrupts too early");
        StateBytes::resume(&mut other.registers);
        other
    }

    fn read(&mut self, register: u32) -> u32 {
        let mut data = [0; 4];
        self.registers
            .mmio_read(MmioAddress(0), register.into(), &mut data);
        u32::from_le_bytes(data)
    }

    fn write(&mut self, register: u32, value: u32) {
        self.registers
            .mmio_write(MmioAddress(0), register.into(), &value.to_le_bytes());
    }

    /// Asks for a sector, and notifies the device if that wants it.
    fn ask(&mut self, sector: u64) {
        if self.in_flight.len() == MAX_IN_FLIGHT {
            return;
        }
        let at = BUFFERS + self.asked % MAX_IN_FLIGHT as u64 * STRIDE;
        self.driver.write(at, &[0; STRIDE as usize]);
        self.driver.write(at + 8, &sector.to_le_bytes());
        let before = self.driver.available_index();
        self.driver.offer(&[
            readable(at, 16),
            writable(at + DATA, 512),
            writable(at + STATUS, 1),
        ]);
        self.in_flight.push_back(sector);
        self.asked += 1;
        if self.driver.available_event() == before {
            self.write(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
        }
    }

    /// Lets the device work if it was woken.
    fn work(&mut self) {
        let mut disk = self.disk.lock().unwrap();
        if disk.slots.offered()[0].notify.read().is_ok() {
            disk.serve();
        }
    }

    /// Takes the answers if there was an interrupt.
    fn take(&mut self) {
        if self.irqfd.read().is_err() {
            return;
        }
        let reasons = self.read(VIRTIO_MMIO_INTERRUPT_STATUS);
        self.write(VIRTIO_MMIO_INTERRUPT_ACK, reasons);
        for (_, bytes) in self.driver.take_used() {
            let expected = self.in_flight.pop_front().unwrap();
            let at = BUFFERS + self.answered % MAX_IN_FLIGHT as u64 * STRIDE;
            self.answered += 1;
            assert_eq!(bytes, 513);
            assert_eq!(self.driver.read(at + DATA, 512), sector(expected));
            assert_eq!(self.driver.read(at + STATUS, 1), [0]);
        }
        self.driver.ask_for_interrupt();
    }

    fn capacity(&mut self) -> u64 {
        let mut data = [0; 8];
        self.registers
            .mmio_read(MmioAddress(0), VIRTIO_MMIO_CONFIG.into(), &mut data);
        u64::from_le_bytes(data)
    }
}

#[test]
fn a_disk_of_another_size_interrupts_the_driver_when_it_goes_on() {
    let mut guest = Guest::new(0);
    assert_eq!(guest.capacity(), 0);
    let generation = guest.read(VIRTIO_MMIO_CONFIG_GENERATION);
    let mut guest = guest.moved(SECTORS);
    assert!(guest.irqfd.read().is_ok());
    assert_eq!(
        guest.read(VIRTIO_MMIO_INTERRUPT_STATUS),
        VIRTIO_MMIO_INT_CONFIG
    );
    assert_ne!(guest.read(VIRTIO_MMIO_CONFIG_GENERATION), generation);
    assert_eq!(guest.capacity(), SECTORS);
    guest.write(VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_CONFIG);
    guest.ask(SECTORS - 1);
    guest.work();
    guest.take();
    assert_eq!(guest.answered, 1);
}

#[test]
fn a_disk_of_the_same_size_interrupts_nobody() {
    let mut guest = Guest::new(SECTORS).moved(SECTORS);
    assert!(guest.irqfd.read().is_err());
    assert_eq!(guest.read(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
    assert_eq!(guest.read(VIRTIO_MMIO_CONFIG_GENERATION), 0);
}

#[test]
fn a_disk_that_waits_for_a_reset_goes_on_waiting() {
    let mut guest = Guest::new(SECTORS);
    guest.driver.set_available_index(1000);
    guest.write(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    guest.work();
    let status = guest.read(VIRTIO_MMIO_STATUS);
    let mut guest = guest.moved(SECTORS);
    assert_eq!(guest.read(VIRTIO_MMIO_STATUS), status);
    assert!(guest.disk.lock().unwrap().served_queues().is_none());
}

#[derive(Clone, Debug)]
enum Step {
    Ask(u64),
    Work,
    Take,
    Save,
    Move,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..SECTORS).prop_map(Step::Ask),
        2 => Just(Step::Work),
        2 => Just(Step::Take),
        1 => Just(Step::Save),
        1 => Just(Step::Move),
    ]
}

proptest! {
    #[test]
    fn every_request_is_answered_once_however_often_the_disk_is_moved(
        steps in prop::collection::vec(step(), 0..100),
    ) {
        let mut guest = Guest::new(SECTORS);
        for step in steps {
            match step {
                Step::Ask(sector) => guest.ask(sector),
                Step::Work => guest.work(),
                Step::Take => guest.take(),
                Step::Save => {
                    guest.registers.save_bytes().unwrap();
                    StateBytes::resume(&mut guest.registers);
                }
                Step::Move => guest = guest.moved(SECTORS),
            }
        }
        guest.work();
        guest.take();
        prop_assert_eq!(guest.answered, guest.asked);
    }

    #[test]
    fn no_state_makes_it_panic(
        asked in 0u64..5,
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0u32..8), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut guest = Guest::new(SECTORS);
        for sector in 0..asked {
            guest.ask(sector);
        }
        let mut state = guest.registers.save_bytes().unwrap();
        for (index, bit) in flips {
            *index.get_mut(&mut state) ^= 1 << bit;
        }
        if let Some(cut) = cut {
            state.truncate(cut.index(state.len()));
        }
        let mut other = Guest::without_driver(guest.driver, SECTORS);
        if other.registers.restore_bytes(&state).is_ok() {
            StateBytes::resume(&mut other.registers);
            other.work();
            for register in (0..0x100).step_by(4) {
                other.read(register);
            }
            other.registers.save_bytes().unwrap();
        }
    }
}
