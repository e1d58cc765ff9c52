//! The driver's half of one device, by what a monitor and its guest share: registers and memory.

use std::sync::{Arc, Mutex};

use event_manager::{EventManager, MutEventSubscriber, SubscriberOps};
use virtio_bindings::virtio_config::VIRTIO_F_VERSION_1;
use virtio_bindings::virtio_mmio::*;
use virtio_bindings::virtio_ring::{VRING_DESC_F_NEXT, VRING_DESC_F_WRITE};
use vm_device::MutDeviceMmio;
use vm_device::bus::MmioAddress;
use vm_memory::{Bytes, GuestAddress};
use vmm::devices::virtio::mmio::MmioTransport;
use vmm::devices::virtio::{Interrupt, VirtioDevice};
use vmm::memory::GuestMemory;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

const MEMORY_BYTES: u64 = 1 << 20;
const RINGS: u64 = 0x1000;
/// Descriptors, what is available and what is used, of one queue.
const RINGS_BYTES: u64 = 0x4000;
/// Few places: a request needs three.
const QUEUE_SIZE: u16 = 8;
/// Where requests may lie, up to the end of memory.
pub const BUFFERS: u64 = 0x2_0000;

/// Where a buffer is, how long, and whether the device is to write it.
pub type Buffer = (u64, u32, bool);

/// A guest with one device.
pub struct Guest<D: VirtioDevice> {
    memory: GuestMemory,
    registers: MmioTransport<D>,
    events: EventManager<Arc<Mutex<D>>>,
    available: Vec<u16>,
}

impl<D: VirtioDevice + MutEventSubscriber + Send + 'static> Guest<D> {
    /// The device, set up.
    pub fn new(device: D) -> Result<Self, Box<dyn std::error::Error>> {
        let memory = vmm::memory::allocate(MEMORY_BYTES)?;
        let queues = device.queues().len();
        let device = Arc::new(Mutex::new(device));
        let interrupt = Interrupt::new(EventFd::new(EFD_NONBLOCK)?);
        let mut events = EventManager::new()?;
        events.add_subscriber(device.clone());
        let mut guest = Self {
            registers: MmioTransport::new(device, memory.clone(), interrupt),
            memory,
            events,
            available: vec![0; queues],
        };
        guest.set_up();
        Ok(guest)
    }

    fn set_up(&mut self) {
        self.set(VIRTIO_MMIO_STATUS, 3);
        self.set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
        self.set(VIRTIO_MMIO_DRIVER_FEATURES, 1 << (VIRTIO_F_VERSION_1 - 32));
        self.set(VIRTIO_MMIO_STATUS, 11);
        for queue in 0..self.available.len() as u32 {
            let rings = rings(queue as usize) as u32;
            self.set(VIRTIO_MMIO_QUEUE_SEL, queue);
            self.set(VIRTIO_MMIO_QUEUE_NUM, QUEUE_SIZE.into());
            self.set(VIRTIO_MMIO_QUEUE_DESC_LOW, rings);
            self.set(VIRTIO_MMIO_QUEUE_AVAIL_LOW, rings + 0x2000);
            self.set(VIRTIO_MMIO_QUEUE_USED_LOW, rings + 0x3000);
            self.set(VIRTIO_MMIO_QUEUE_READY, 1);
        }
        self.set(VIRTIO_MMIO_STATUS, 15);
    }

    /// Puts bytes into memory.
    pub fn write(&self, address: u64, bytes: &[u8]) {
        self.memory
            .write_slice(bytes, GuestAddress(address))
            .unwrap_or_else(|error| panic!("{address:#x}: {error}"));
    }

    /// A request and its answer: how many bytes the device has written.
    pub fn request(&mut self, queue: usize, buffers: &[Buffer]) -> u32 {
        let rings = rings(queue);
        for (index, &(address, bytes, is_writable)) in buffers.iter().enumerate() {
            let is_last = index + 1 == buffers.len();
            let flags = if is_writable { VRING_DESC_F_WRITE } else { 0 }
                | if is_last { 0 } else { VRING_DESC_F_NEXT };
            let mut descriptor = [0; 16];
            descriptor[..8].copy_from_slice(&address.to_le_bytes());
            descriptor[8..12].copy_from_slice(&bytes.to_le_bytes());
            descriptor[12..14].copy_from_slice(&(flags as u16).to_le_bytes());
            descriptor[14..].copy_from_slice(&(index as u16 + 1).to_le_bytes());
            self.write(rings + 16 * index as u64, &descriptor);
        }
        let slot = u64::from(self.available[queue] % QUEUE_SIZE);
        self.available[queue] = self.available[queue].wrapping_add(1);
        let available = self.available[queue];
        self.write(rings + 0x2004 + 2 * slot, &0u16.to_le_bytes());
        self.write(rings + 0x2002, &available.to_le_bytes());
        self.set(VIRTIO_MMIO_QUEUE_NOTIFY, queue as u32);
        let mut used = [0; 2];
        while u16::from_le_bytes(used) != available {
            self.events
                .run_with_timeout(1_000)
                .unwrap_or_else(|error| panic!("the device's thread ends: {error:?}"));
            self.read(rings + 0x3002, &mut used);
        }
        let mut written = [0; 4];
        self.read(rings + 0x3004 + 8 * slot + 4, &mut written);
        u32::from_le_bytes(written)
    }

    /// What is in memory.
    pub fn bytes(&self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.read(address, &mut bytes);
        bytes
    }

    fn read(&self, address: u64, bytes: &mut [u8]) {
        self.memory
            .read_slice(bytes, GuestAddress(address))
            .unwrap_or_else(|error| panic!("{address:#x}: {error}"));
    }

    fn set(&mut self, register: u32, value: u32) {
        let bytes = value.to_le_bytes();
        self.registers
            .mmio_write(MmioAddress(0), register.into(), &bytes);
    }
}

fn rings(queue: usize) -> u64 {
    RINGS + RINGS_BYTES * queue as u64
}
