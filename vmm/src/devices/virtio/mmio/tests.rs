use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::*;
use crate::devices::SavedState;
use crate::devices::virtio::driver::Driver;
use crate::devices::virtio::{DeviceQueue, QueueSlot, WrongQueueCount};

const ACKNOWLEDGE: u32 = 1;
const DRIVER: u32 = 2;
const DRIVER_OK: u32 = 4;
const FEATURES_OK: u32 = 8;
const NEEDS_RESET: u32 = 64;

const MEMORY_BYTES: u64 = 1 << 20;
/// A feature of the test device's own.
const OWN_FEATURE: u64 = 1 << 5;
const CONFIG: [u8; 6] = [1, 2, 3, 4, 5, 6];

pub(super) struct TestDevice {
    slots: [QueueSlot; 2],
    active: Option<(Vec<DeviceQueue>, Interrupt)>,
    activations: usize,
    resets: usize,
}

impl TestDevice {
    pub(super) fn new() -> Self {
        Self {
            slots: [QueueSlot::new(16).unwrap(), QueueSlot::new(64).unwrap()],
            active: None,
            activations: 0,
            resets: 0,
        }
    }
}

impl VirtioDevice for TestDevice {
    fn device_id(&self) -> u32 {
        42
    }

    fn features(&self) -> u64 {
        OWN_FEATURE
    }

    fn config(&self) -> &[u8] {
        &CONFIG
    }

    fn queues(&self) -> &[QueueSlot] {
        &self.slots
    }

    fn activate(
        &mut self,
        queues: Vec<DeviceQueue>,
        interrupt: Interrupt,
    ) -> Result<(), WrongQueueCount> {
        self.active = Some((queues, interrupt));
        self.activations += 1;
        Ok(())
    }

    fn served_queues(&self) -> Option<Vec<&DeviceQueue>> {
        Some(self.active.as_ref()?.0.iter().collect())
    }

    fn reset(&mut self) {
        self.active = None;
        self.resets += 1;
    }
}

impl SavedState for TestDevice {
    type State = ();
    type Error = Infallible;

    fn save(&mut self) {}

    fn restore(&mut self, (): ()) -> Result<(), Infallible> {
        Ok(())
    }
}

struct Guest {
    registers: MmioTransport<TestDevice>,
    device: Arc<Mutex<TestDevice>>,
    irqfd: EventFd,
    memory: GuestMemory,
}

impl Guest {
    fn new() -> Self {
        let memory = crate::memory::allocate(MEMORY_BYTES).unwrap();
        let irqfd = EventFd::new(EFD_NONBLOCK).unwrap();
        let device = Arc::new(Mutex::new(TestDevice::new()));
        let interrupt = Interrupt::new(irqfd.try_clone().unwrap());
        Self {
            registers: MmioTransport::new(device.clone(), memory.clone(), interrupt),
            device,
            irqfd,
            memory,
        }
    }

    fn read(&mut self, register: u32) -> u32 {
        let mut data = [0xaa; 4];
        self.registers
            .mmio_read(MmioAddress(0), register.into(), &mut data);
        u32::from_le_bytes(data)
    }

    fn write(&mut self, register: u32, value: u32) {
        self.registers
            .mmio_write(MmioAddress(0), register.into(), &value.to_le_bytes());
    }

    fn add_status(&mut self, bits: u32) -> u32 {
        let status = self.read(VIRTIO_MMIO_STATUS);
        self.write(VIRTIO_MMIO_STATUS, status | bits);
        self.read(VIRTIO_MMIO_STATUS)
    }

    fn accept_features(&mut self, features: u64) -> u32 {
        self.add_status(ACKNOWLEDGE);
        self.add_status(DRIVER);
        for (sel, word) in [(0, features as u32), (1, (features >> 32) as u32)] {
            self.write(VIRTIO_MMIO_DRIVER_FEATURES_SEL, sel);
            self.write(VIRTIO_MMIO_DRIVER_FEATURES, word);
        }
        self.add_status(FEATURES_OK)
    }

    fn set_up_queue(&mut self, number: u32) {
        let base = 0x1000 + u64::from(number) * Driver::RINGS_BYTES;
        let rings = Driver::new(&self.memory, base, 16);
        self.write(VIRTIO_MMIO_QUEUE_SEL, number);
        self.write(VIRTIO_MMIO_QUEUE_NUM, 16);
        self.write(VIRTIO_MMIO_QUEUE_DESC_LOW, rings.descriptor_table() as u32);
        self.write(VIRTIO_MMIO_QUEUE_AVAIL_LOW, rings.available_ring() as u32);
        self.write(VIRTIO_MMIO_QUEUE_USED_LOW, rings.used_ring() as u32);
        self.write(VIRTIO_MMIO_QUEUE_READY, 1);
    }

    /// All that a driver does until the device works.
    fn start(&mut self) -> u32 {
        self.accept_features(TRANSPORT_FEATURES | OWN_FEATURE);
        self.set_up_queue(0);
        self.set_up_queue(1);
        self.add_status(DRIVER_OK)
    }

    fn active(&self) -> bool {
        self.device.lock().unwrap().active.is_some()
    }

    fn interrupted(&self) -> bool {
        self.irqfd.read().is_ok()
    }
}

#[test]
fn a_device_says_what_it_is() {
    let mut guest = Guest::new();
    for (register, value) in [
        (VIRTIO_MMIO_MAGIC_VALUE, 0x7472_6976),
        (VIRTIO_MMIO_VERSION, 2),
        (VIRTIO_MMIO_DEVICE_ID, 42),
        (VIRTIO_MMIO_STATUS, 0),
        (VIRTIO_MMIO_QUEUE_NUM_MAX, 16),
        (VIRTIO_MMIO_INTERRUPT_STATUS, 0),
        (VIRTIO_MMIO_CONFIG_GENERATION, 0),
        (VIRTIO_MMIO_SHM_LEN_LOW, u32::MAX),
    ] {
        assert_eq!(guest.read(register), value, "{register:#x}");
    }
}

#[test]
fn features_are_shown_a_word_at_a_time() {
    let mut guest = Guest::new();
    let words = [0, 1, 2, u32::MAX].map(|sel| {
        guest.write(VIRTIO_MMIO_DEVICE_FEATURES_SEL, sel);
        guest.read(VIRTIO_MMIO_DEVICE_FEATURES)
    });
    assert_eq!(words, [1 << 29 | 1 << 5, 1, 0, 0]);
}

#[test]
fn a_driver_that_does_all_in_order_activates_the_device() {
    let mut guest = Guest::new();
    assert_eq!(
        guest.start(),
        ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK
    );
    assert!(guest.active());
    assert_eq!(guest.read(VIRTIO_MMIO_QUEUE_READY), 1);
}

#[test]
fn features_are_refused_that_were_not_offered_or_are_legacy() {
    for features in [
        TRANSPORT_FEATURES | OWN_FEATURE << 1,
        TRANSPORT_FEATURES | 1 << 63,
        OWN_FEATURE,
    ] {
        let status = Guest::new().accept_features(features);
        assert_eq!(status, ACKNOWLEDGE | DRIVER, "{features:#x}");
    }
}

#[test]
fn features_are_settled_once() {
    let mut guest = Guest::new();
    guest.accept_features(TRANSPORT_FEATURES);
    guest.write(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
    guest.write(VIRTIO_MMIO_DRIVER_FEATURES, 0);
    assert_eq!(guest.registers.driver_features, TRANSPORT_FEATURES);
}

#[test]
fn no_step_of_the_way_is_left_out() {
    let mut guest = Guest::new();
    assert_eq!(guest.add_status(DRIVER), 0);
    assert_eq!(guest.add_status(DRIVER_OK), 0);
    assert_eq!(guest.add_status(ACKNOWLEDGE), ACKNOWLEDGE);
    assert_eq!(guest.add_status(FEATURES_OK), ACKNOWLEDGE);
    assert!(!guest.active());
}

#[test]
fn a_driver_without_its_queues_is_told_to_reset() {
    let mut guest = Guest::new();
    guest.accept_features(TRANSPORT_FEATURES);
    guest.set_up_queue(0);
    assert_eq!(guest.add_status(DRIVER_OK) & NEEDS_RESET, NEEDS_RESET);
    assert!(!guest.active());
    assert!(guest.interrupted());
    assert_eq!(
        guest.read(VIRTIO_MMIO_INTERRUPT_STATUS),
        VIRTIO_MMIO_INT_CONFIG
    );
}

#[test]
fn a_reset_forgets_everything_and_a_driver_may_start_again() {
    let mut guest = Guest::new();
    guest.start();
    guest.registers.interrupt.demand_reset();
    guest.write(VIRTIO_MMIO_STATUS, 0);
    assert!(!guest.active());
    for register in [
        VIRTIO_MMIO_STATUS,
        VIRTIO_MMIO_INTERRUPT_STATUS,
        VIRTIO_MMIO_QUEUE_READY,
    ] {
        assert_eq!(guest.read(register), 0, "{register:#x}");
    }
    guest.start();
    assert_eq!(guest.device.lock().unwrap().activations, 2);
}

#[test]
fn an_interrupt_shows_its_reason_until_that_is_acknowledged() {
    let mut guest = Guest::new();
    guest.start();
    guest.registers.interrupt.signal_used();
    assert!(guest.interrupted());
    assert_eq!(
        guest.read(VIRTIO_MMIO_INTERRUPT_STATUS),
        VIRTIO_MMIO_INT_VRING
    );
    guest.write(VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_CONFIG);
    assert_eq!(
        guest.read(VIRTIO_MMIO_INTERRUPT_STATUS),
        VIRTIO_MMIO_INT_VRING
    );
    guest.write(VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
    assert_eq!(guest.read(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

#[test]
fn a_notification_reaches_the_queue_it_names() {
    let mut guest = Guest::new();
    guest.start();
    guest.write(VIRTIO_MMIO_QUEUE_NOTIFY, 1);
    guest.write(VIRTIO_MMIO_QUEUE_NOTIFY, 2);
    let device = guest.device.lock().unwrap();
    let woken = device
        .slots
        .each_ref()
        .map(|slot| slot.notify.read().is_ok());
    assert_eq!(woken, [false, true]);
}

#[test]
fn the_configuration_is_read_at_any_width_and_ends() {
    let mut guest = Guest::new();
    for (offset, expected) in [
        (0, &[1][..]),
        (1, &[2, 3]),
        (0, &[1, 2, 3, 4]),
        (4, &[5, 6, 0, 0]),
        (6, &[0; 4]),
        (u64::MAX - 0x100, &[0; 8]),
    ] {
        let mut data = vec![0xaa; expected.len()];
        guest
            .registers
            .mmio_read(MmioAddress(0), 0x100 + offset, &mut data);
        assert_eq!(data, expected, "{offset}");
    }
}

#[test]
fn the_configuration_is_not_written() {
    let mut guest = Guest::new();
    guest.write(VIRTIO_MMIO_CONFIG, u32::MAX);
    assert_eq!(guest.read(VIRTIO_MMIO_CONFIG), 0x0403_0201);
}

/// Registers, mostly; and widths, mostly those of registers.
fn access() -> impl Strategy<Value = (u64, Vec<u8>)> {
    let offset = prop_oneof![
        8 => (0u64..0x40).prop_map(|register| register * 4),
        1 => any::<u64>(),
        1 => 0u64..0x200,
    ];
    let data = prop_oneof![
        4 => prop::sample::select(vec![0u32, 1, 3, 4, 11, 15, 16, 64, 128, 0x1000, 0x2000])
            .prop_map(|value| value.to_le_bytes().to_vec()),
        2 => any::<[u8; 4]>().prop_map(|value| value.to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..9),
    ];
    (offset, data)
}

proptest! {
    #[test]
    fn no_access_makes_it_panic_or_skips_a_step(
        accesses in prop::collection::vec((access(), any::<bool>()), 0..200),
        started: bool,
    ) {
        let mut guest = Guest::new();
        if started {
            guest.start();
        }
        for ((offset, mut data), write) in accesses {
            match write {
                true => guest.registers.mmio_write(MmioAddress(0), offset, &data),
                false => guest.registers.mmio_read(MmioAddress(0), offset, &mut data),
            }
            let status = guest.read(VIRTIO_MMIO_STATUS);
            prop_assert!([0, 1, 3, 11, 15].contains(&(status & 15)), "status {}", status);
            let working = status & (DRIVER_OK | NEEDS_RESET) == DRIVER_OK;
            prop_assert!(guest.active() || !working);
            prop_assert!(!guest.active() || status & DRIVER_OK != 0);
        }
    }
}
