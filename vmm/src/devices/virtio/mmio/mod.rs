//! The transport over memory-mapped registers, version 2 (virtio 1.2, section 4.2).

mod phase;
mod queue_setup;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use virtio_bindings::virtio_config::{
    VIRTIO_CONFIG_S_FAILED, VIRTIO_CONFIG_S_NEEDS_RESET, VIRTIO_F_VERSION_1,
};
use virtio_bindings::virtio_mmio::*;
use virtio_bindings::virtio_ring::VIRTIO_RING_F_EVENT_IDX;
use vm_device::MutDeviceMmio;
use vm_device::bus::{MmioAddress, MmioAddressOffset};

use super::{DeviceQueue, Interrupt, QueuePosition, VirtioDevice};
use crate::memory::GuestMemory;
use phase::Phase;
use queue_setup::QueueSetup;
pub use queue_setup::QueueSetupError;
pub use state::{InvalidState, State};

/// "virt", read as a little-endian number.
const MAGIC: u32 = u32::from_le_bytes(*b"virt");
/// The version without the legacy interface.
const VERSION: u32 = 2;
/// We have no PCI vendor ID that could be shown; Linux reads and ignores it.
const VENDOR: u32 = 0;

/// Where the driver writes a queue's number to notify the device: the address, from the device's
/// base, and with the number as data match, for an ioeventfd.
pub const QUEUE_NOTIFY: u64 = VIRTIO_MMIO_QUEUE_NOTIFY as u64;

/// Features of the transport and the rings.
const TRANSPORT_FEATURES: u64 = 1 << VIRTIO_F_VERSION_1 | 1 << VIRTIO_RING_F_EVENT_IDX;

/// The registers of one device, and what its driver has written to them.
pub struct MmioTransport<D> {
    device: Arc<Mutex<D>>,
    memory: GuestMemory,
    interrupt: Interrupt,
    phase: Phase,
    failed: bool,
    device_features_sel: u32,
    driver_features_sel: u32,
    driver_features: u64,
    queue_sel: u32,
    queues: Vec<QueueSetup>,
    config_generation: u32,
}

impl<D: VirtioDevice> MmioTransport<D> {
    /// The registers of `device` before a driver has come.
    pub fn new(device: Arc<Mutex<D>>, memory: GuestMemory, interrupt: Interrupt) -> Self {
        let queues = lock(&device)
            .queues()
            .iter()
            .map(|slot| QueueSetup::new(slot.max_size))
            .collect();
        Self {
            device,
            memory,
            interrupt,
            phase: Phase::Reset,
            failed: false,
            device_features_sel: 0,
            driver_features_sel: 0,
            driver_features: 0,
            queue_sel: 0,
            queues,
            config_generation: 0,
        }
    }

    fn device_features(&self) -> u64 {
        offered(&*lock(&self.device))
    }

    fn status(&self) -> u32 {
        let mut status = self.phase.status();
        if self.failed {
            status |= VIRTIO_CONFIG_S_FAILED;
        }
        if self.interrupt.needs_reset() {
            status |= VIRTIO_CONFIG_S_NEEDS_RESET;
        }
        status
    }

    fn read_register(&self, offset: u32) -> u32 {
        match offset {
            VIRTIO_MMIO_MAGIC_VALUE => MAGIC,
            VIRTIO_MMIO_VERSION => VERSION,
            VIRTIO_MMIO_DEVICE_ID => lock(&self.device).device_id(),
            VIRTIO_MMIO_VENDOR_ID => VENDOR,
            VIRTIO_MMIO_DEVICE_FEATURES => match self.device_features_sel {
                0 => self.device_features() as u32,
                1 => (self.device_features() >> 32) as u32,
                _ => 0,
            },
            // 0 for a queue that does not exist.
            VIRTIO_MMIO_QUEUE_NUM_MAX => self.queue().map_or(0, |queue| queue.max_size().into()),
            VIRTIO_MMIO_QUEUE_READY => self.queue().map_or(0, |queue| queue.ready.into()),
            VIRTIO_MMIO_INTERRUPT_STATUS => self.interrupt.reasons(),
            VIRTIO_MMIO_STATUS => self.status(),
            // No shared memory region: the length of one that does not exist is -1.
            VIRTIO_MMIO_SHM_LEN_LOW
            | VIRTIO_MMIO_SHM_LEN_HIGH
            | VIRTIO_MMIO_SHM_BASE_LOW
            | VIRTIO_MMIO_SHM_BASE_HIGH => u32::MAX,
            // A device has another configuration only after it was restored.
            VIRTIO_MMIO_CONFIG_GENERATION => self.config_generation,
            _ => {
                tracing::debug!("read of virtio register {offset:#x}");
                0
            }
        }
    }

    fn write_register(&mut self, offset: u32, value: u32) {
        match offset {
            VIRTIO_MMIO_DEVICE_FEATURES_SEL => self.device_features_sel = value,
            VIRTIO_MMIO_DRIVER_FEATURES_SEL => self.driver_features_sel = value,
            VIRTIO_MMIO_DRIVER_FEATURES => self.write_features(value),
            VIRTIO_MMIO_QUEUE_SEL => self.queue_sel = value,
            VIRTIO_MMIO_QUEUE_NUM
            | VIRTIO_MMIO_QUEUE_READY
            | VIRTIO_MMIO_QUEUE_DESC_LOW
            | VIRTIO_MMIO_QUEUE_DESC_HIGH
            | VIRTIO_MMIO_QUEUE_AVAIL_LOW
            | VIRTIO_MMIO_QUEUE_AVAIL_HIGH
            | VIRTIO_MMIO_QUEUE_USED_LOW
            | VIRTIO_MMIO_QUEUE_USED_HIGH => self.write_queue(offset, value),
            VIRTIO_MMIO_QUEUE_NOTIFY => self.notify(value),
            VIRTIO_MMIO_INTERRUPT_ACK => self.interrupt.acknowledge(value),
            VIRTIO_MMIO_STATUS => self.write_status(value),
            _ => tracing::debug!("write of {value:#x} to virtio register {offset:#x}"),
        }
    }

    fn write_features(&mut self, value: u32) {
        let shift = match self.driver_features_sel {
            0 => 0,
            1 => 32,
            sel => return tracing::debug!("features {value:#x} of word {sel}"),
        };
        if self.phase != Phase::Driver {
            return tracing::debug!("features written in phase {:?}", self.phase);
        }
        self.driver_features &= !(u64::from(u32::MAX) << shift);
        self.driver_features |= u64::from(value) << shift;
    }

    fn queue(&self) -> Option<&QueueSetup> {
        self.queues.get(self.queue_sel as usize)
    }

    fn write_queue(&mut self, offset: u32, value: u32) {
        if self.phase != Phase::FeaturesOk {
            return tracing::debug!("queue register {offset:#x} written in {:?}", self.phase);
        }
        match self.queues.get_mut(self.queue_sel as usize) {
            Some(queue) => queue.write(offset, value),
            None => tracing::debug!("there is no queue {}", self.queue_sel),
        }
    }

    /// Only where the host offers no ioeventfd is this register ever written here.
    fn notify(&self, queue: u32) {
        let device = lock(&self.device);
        match device.queues().get(queue as usize) {
            Some(slot) => slot.wake(),
            None => tracing::debug!("notification of queue {queue}, which is not there"),
        }
    }

    fn write_status(&mut self, value: u32) {
        if value == 0 {
            return self.reset();
        }
        // Bits are only ever added: each step on the way is taken by its own write, or several
        // by one.
        while let Some(next) = self.phase.next().filter(|next| next.is_in(value)) {
            match next {
                Phase::FeaturesOk if !acceptable(&*lock(&self.device), self.driver_features) => {
                    tracing::debug!("features {:#x} are refused", self.driver_features);
                    break;
                }
                Phase::DriverOk => self.activate(),
                _ => (),
            }
            self.phase = next;
        }
        self.failed |= value & VIRTIO_CONFIG_S_FAILED != 0;
    }

    /// The queues as the driver has set them up, the device as far with them as `positions` say.
    fn queues_at(&self, positions: &[QueuePosition]) -> Result<Vec<DeviceQueue>, QueueSetupError> {
        let event_idx = self.driver_features & 1 << VIRTIO_RING_F_EVENT_IDX != 0;
        self.queues
            .iter()
            .zip(positions)
            .map(|(queue, position)| queue.build(&self.memory, event_idx, *position))
            .collect()
    }

    fn activate(&mut self) {
        let queues = self.queues_at(&vec![QueuePosition::default(); self.queues.len()]);
        let mut device = lock(&self.device);
        device.negotiated(self.driver_features);
        let activated = match queues {
            Ok(queues) => device
                .activate(queues, self.interrupt.clone())
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = activated {
            tracing::warn!("virtio device {}: {error}", device.device_id());
            self.interrupt.demand_reset();
        }
    }

    fn reset(&mut self) {
        lock(&self.device).reset();
        // After the device: it raises no interrupt any more.
        self.interrupt.clear();
        self.phase = Phase::Reset;
        self.failed = false;
        self.device_features_sel = 0;
        self.driver_features_sel = 0;
        self.driver_features = 0;
        self.queue_sel = 0;
        for queue in &mut self.queues {
            *queue = QueueSetup::new(queue.max_size());
        }
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        // What lies behind the configuration reads as 0.
        data.fill(0);
        let device = lock(&self.device);
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|offset| device.config().get(offset..))
            .unwrap_or_default();
        let length = rest.len().min(data.len());
        data[..length].copy_from_slice(&rest[..length]);
    }
}

/// The features that the driver may choose from.
fn offered(device: &impl VirtioDevice) -> u64 {
    device.features() | TRANSPORT_FEATURES
}

fn acceptable(device: &impl VirtioDevice, driver_features: u64) -> bool {
    driver_features & !offered(device) == 0 && driver_features & 1 << VIRTIO_F_VERSION_1 != 0
}

/// A device whose thread has panicked is as good as one that hangs, which is for the guest to
/// find out; the transport goes on.
fn lock<D>(device: &Mutex<D>) -> MutexGuard<'_, D> {
    device.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<D: VirtioDevice> MutDeviceMmio for MmioTransport<D> {
    fn mmio_read(&mut self, _base: MmioAddress, offset: MmioAddressOffset, data: &mut [u8]) {
        if let Some(offset) = offset.checked_sub(VIRTIO_MMIO_CONFIG.into()) {
            return self.read_config(offset, data);
        }
        // Registers are read whole (section 4.2.2.2); an unaligned offset names none.
        match <&mut [u8; 4]>::try_from(&mut *data) {
            // Below `VIRTIO_MMIO_CONFIG`, so it fits.
            Ok(register) => *register = self.read_register(offset as u32).to_le_bytes(),
            Err(_) => data.fill(0),
        }
    }

    fn mmio_write(&mut self, _base: MmioAddress, offset: MmioAddressOffset, data: &[u8]) {
        match <[u8; 4]>::try_from(data) {
            Ok(value) if offset < VIRTIO_MMIO_CONFIG.into() => {
                self.write_register(offset as u32, u32::from_le_bytes(value));
            }
            _ => tracing::debug!("write of {data:02x?} at {offset:#x} of a virtio device"),
        }
    }
}

#[cfg(test)]
mod tests;
