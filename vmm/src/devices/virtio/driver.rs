//! The driver's half of a queue, for tests. `virtio_queue::mock` lays its two rings out one over
//! the other and does not let them go round, so it serves for a few descriptors only.

use virtio_bindings::virtio_config::VIRTIO_F_VERSION_1;
use virtio_bindings::virtio_mmio::*;
use virtio_bindings::virtio_ring::{
    VIRTIO_RING_F_EVENT_IDX, VRING_DESC_F_NEXT, VRING_DESC_F_WRITE,
};
use virtio_queue::desc::RawDescriptor;
use virtio_queue::desc::split::Descriptor;
use virtio_queue::{Queue, QueueT};
use vm_device::MutDeviceMmio;
use vm_device::bus::MmioAddress;
use vm_memory::{Bytes, GuestAddress};

use super::mmio::MmioTransport;
use super::{DeviceQueue, QueuePosition, VirtioDevice};
use crate::memory::GuestMemory;

/// A buffer that a driver offers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    pub address: u64,
    pub bytes: u32,
    pub writable: bool,
}

pub(super) fn readable(address: u64, bytes: u32) -> Offer {
    Offer {
        address,
        bytes,
        writable: false,
    }
}

pub(super) fn writable(address: u64, bytes: u32) -> Offer {
    Offer {
        address,
        bytes,
        writable: true,
    }
}

/// Does all that a driver does until the device works with these queues.
pub(super) fn start<D: VirtioDevice>(registers: &mut MmioTransport<D>, queues: &[&Driver]) {
    let mut write = |register: u32, value: u32| {
        registers.mmio_write(MmioAddress(0), register.into(), &value.to_le_bytes());
    };
    let features = 1u64 << VIRTIO_F_VERSION_1 | 1 << VIRTIO_RING_F_EVENT_IDX;
    write(VIRTIO_MMIO_STATUS, 3);
    for (sel, word) in [(0, features as u32), (1, (features >> 32) as u32)] {
        write(VIRTIO_MMIO_DRIVER_FEATURES_SEL, sel);
        write(VIRTIO_MMIO_DRIVER_FEATURES, word);
    }
    write(VIRTIO_MMIO_STATUS, 11);
    for (number, queue) in (0..).zip(queues) {
        write(VIRTIO_MMIO_QUEUE_SEL, number);
        write(VIRTIO_MMIO_QUEUE_NUM, queue.size.into());
        write(VIRTIO_MMIO_QUEUE_DESC_LOW, queue.descriptor_table() as u32);
        write(VIRTIO_MMIO_QUEUE_AVAIL_LOW, queue.available_ring() as u32);
        write(VIRTIO_MMIO_QUEUE_USED_LOW, queue.used_ring() as u32);
        write(VIRTIO_MMIO_QUEUE_READY, 1);
    }
    write(VIRTIO_MMIO_STATUS, 15);
}

/// A driver's view of a queue whose rings lie at `base` and behind it.
pub(super) struct Driver {
    pub memory: GuestMemory,
    pub size: u16,
    base: u64,
    next_descriptor: u16,
    available: u16,
    used: u16,
}

impl Driver {
    /// Bytes that the rings of the largest queue take, so that queues can lie side by side.
    pub(super) const RINGS_BYTES: u64 = 0x4000;

    pub(super) fn new(memory: &GuestMemory, base: u64, size: u16) -> Self {
        Self {
            memory: memory.clone(),
            size,
            base,
            next_descriptor: 0,
            available: 0,
            used: 0,
        }
    }

    pub(super) fn descriptor_table(&self) -> u64 {
        self.base
    }

    pub(super) fn available_ring(&self) -> u64 {
        self.base + 0x2000
    }

    pub(super) fn used_ring(&self) -> u64 {
        self.base + 0x3000
    }

    /// The device's view.
    pub(super) fn device_queue(&self, event_idx: bool) -> DeviceQueue {
        self.device_queue_at(event_idx, QueuePosition::default())
    }

    /// The view of a device that has come so far.
    pub(super) fn device_queue_at(&self, event_idx: bool, position: QueuePosition) -> DeviceQueue {
        let mut queue = Queue::new(self.size).unwrap();
        queue.set_desc_table_address(Some(self.descriptor_table() as u32), None);
        queue.set_avail_ring_address(Some(self.available_ring() as u32), None);
        queue.set_used_ring_address(Some(self.used_ring() as u32), None);
        queue.set_event_idx(event_idx);
        queue.set_ready(true);
        DeviceQueue::new(queue, self.memory.clone(), position)
    }

    /// A queue whose used ring lies over its available ring: the device's wish to be notified or
    /// not is the driver's index, so that there is a chain whenever the device wants to be told
    /// of the next, and none when it looks.
    pub(super) fn endless_queue(&self) -> DeviceQueue {
        let mut queue = Queue::new(self.size).unwrap();
        let index = self.available_ring() as u32 + 4;
        queue.set_desc_table_address(Some(self.descriptor_table() as u32), None);
        queue.set_avail_ring_address(Some(index - 2), None);
        queue.set_used_ring_address(Some(index), None);
        queue.set_ready(true);
        let mut queue = DeviceQueue::new(queue, self.memory.clone(), QueuePosition::default());
        queue.skip_chain();
        queue
    }

    /// Offers a chain and returns its head.
    pub(super) fn offer(&mut self, buffers: &[Offer]) -> u16 {
        let head = self.next_descriptor;
        for (i, buffer) in buffers.iter().enumerate() {
            let index = (head + i as u16) % self.size;
            let mut flags = 0;
            if buffer.writable {
                flags |= VRING_DESC_F_WRITE;
            }
            if i + 1 < buffers.len() {
                flags |= VRING_DESC_F_NEXT;
            }
            let next = (index + 1) % self.size;
            self.store_descriptor(index, buffer.address, buffer.bytes, flags as u16, next);
            self.next_descriptor = next;
        }
        self.make_available(head);
        head
    }

    pub(super) fn store_descriptor(
        &self,
        index: u16,
        address: u64,
        bytes: u32,
        flags: u16,
        next: u16,
    ) {
        self.memory
            .write_obj(
                RawDescriptor::from(Descriptor::new(address, bytes, flags, next)),
                GuestAddress(self.descriptor_table() + u64::from(index) * 16),
            )
            .unwrap();
    }

    pub(super) fn make_available(&mut self, head: u16) {
        let slot = u64::from(self.available % self.size);
        self.memory
            .write_obj(head, GuestAddress(self.available_ring() + 4 + slot * 2))
            .unwrap();
        self.set_available_index(self.available.wrapping_add(1));
    }

    pub(super) fn set_available_index(&mut self, index: u16) {
        self.available = index;
        self.memory
            .write_obj(index, GuestAddress(self.available_ring() + 2))
            .unwrap();
    }

    /// How many chains were made available, modulo 2^16.
    pub(super) fn available_index(&self) -> u16 {
        self.available
    }

    /// Asks for an interrupt when the device uses the next chain.
    pub(super) fn ask_for_interrupt(&self) {
        self.set_used_event(self.used);
    }

    /// Asks for an interrupt when the device has used as many chains as `index` and one more.
    pub(super) fn set_used_event(&self, index: u16) {
        let address = self.available_ring() + 4 + u64::from(self.size) * 2;
        self.memory.write_obj(index, GuestAddress(address)).unwrap();
    }

    /// How many chains must have been offered before the device wants to be notified.
    pub(super) fn available_event(&self) -> u16 {
        let address = self.used_ring() + 4 + u64::from(self.size) * 8;
        self.memory.read_obj(GuestAddress(address)).unwrap()
    }

    pub(super) fn used_index(&self) -> u16 {
        self.memory
            .read_obj(GuestAddress(self.used_ring() + 2))
            .unwrap()
    }

    /// The chains that came back since the last call: head, and bytes written.
    pub(super) fn take_used(&mut self) -> Vec<(u16, u32)> {
        let mut all = Vec::new();
        while self.used != self.used_index() {
            let slot = u64::from(self.used % self.size);
            let [head, bytes]: [u32; 2] = self
                .memory
                .read_obj(GuestAddress(self.used_ring() + 4 + slot * 8))
                .unwrap();
            all.push((head as u16, bytes));
            self.used = self.used.wrapping_add(1);
        }
        all
    }

    pub(super) fn read(&self, address: u64, bytes: usize) -> Vec<u8> {
        let mut data = vec![0; bytes];
        self.memory
            .read_slice(&mut data, GuestAddress(address))
            .unwrap();
        data
    }

    pub(super) fn write(&self, address: u64, data: &[u8]) {
        self.memory
            .write_slice(data, GuestAddress(address))
            .unwrap();
    }
}
