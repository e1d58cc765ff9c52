use serde::{Deserialize, Serialize};
use virtio_bindings::virtio_mmio::*;
use virtio_queue::{Queue, QueueT};
use vm_memory::GuestAddress;

use crate::devices::virtio::{DeviceQueue, QueuePosition};
use crate::memory::GuestMemory;

/// What the driver has said of a queue can't be.
#[derive(Debug, thiserror::Error)]
pub enum QueueSetupError {
    /// The driver is ready, the queue is not.
    #[error("a queue is not ready")]
    NotReady,
    /// Larger than offered, or not a power of two.
    #[error("a queue can't have a size of {0}")]
    Size(u32),
    /// A ring is not aligned.
    #[error("a ring of a queue is not aligned: {0}")]
    Alignment(virtio_queue::Error),
    /// A ring is not, or not wholly, in guest memory.
    #[error("a ring of a queue is not in guest memory")]
    OutsideMemory,
}

/// What the driver has written of a queue. It is looked at when the driver is ready, not before:
/// an address comes in two halves, in any order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct QueueSetup {
    max_size: u16,
    size: u32,
    pub(super) ready: bool,
    descriptor_table: u64,
    available_ring: u64,
    used_ring: u64,
}

impl QueueSetup {
    pub(super) fn new(max_size: u16) -> Self {
        Self {
            max_size,
            size: max_size.into(),
            ready: false,
            descriptor_table: 0,
            available_ring: 0,
            used_ring: 0,
        }
    }

    pub(super) fn max_size(&self) -> u16 {
        self.max_size
    }

    pub(super) fn write(&mut self, register: u32, value: u32) {
        if register == VIRTIO_MMIO_QUEUE_READY {
            self.ready = value == 1;
            return;
        }
        if self.ready {
            return tracing::debug!("queue register {register:#x} written while it is ready");
        }
        match register {
            VIRTIO_MMIO_QUEUE_NUM => self.size = value,
            VIRTIO_MMIO_QUEUE_DESC_LOW => set_low(&mut self.descriptor_table, value),
            VIRTIO_MMIO_QUEUE_DESC_HIGH => set_high(&mut self.descriptor_table, value),
            VIRTIO_MMIO_QUEUE_AVAIL_LOW => set_low(&mut self.available_ring, value),
            VIRTIO_MMIO_QUEUE_AVAIL_HIGH => set_high(&mut self.available_ring, value),
            VIRTIO_MMIO_QUEUE_USED_LOW => set_low(&mut self.used_ring, value),
            VIRTIO_MMIO_QUEUE_USED_HIGH => set_high(&mut self.used_ring, value),
            _ => tracing::debug!("there is no queue register {register:#x}"),
        }
    }

    /// The queue, with the device at `position`, if all that was said of it holds.
    pub(super) fn build(
        &self,
        memory: &GuestMemory,
        event_idx: bool,
        position: QueuePosition,
    ) -> Result<DeviceQueue, QueueSetupError> {
        if !self.ready {
            return Err(QueueSetupError::NotReady);
        }
        let bad_size = |_| QueueSetupError::Size(self.size);
        let mut queue = Queue::new(self.max_size).map_err(bad_size)?;
        let size = u16::try_from(self.size).map_err(|_| QueueSetupError::Size(self.size))?;
        queue.try_set_size(size).map_err(bad_size)?;
        queue
            .try_set_desc_table_address(GuestAddress(self.descriptor_table))
            .and_then(|()| queue.try_set_avail_ring_address(GuestAddress(self.available_ring)))
            .and_then(|()| queue.try_set_used_ring_address(GuestAddress(self.used_ring)))
            .map_err(QueueSetupError::Alignment)?;
        queue.set_event_idx(event_idx);
        queue.set_ready(true);
        if !queue.is_valid(memory) {
            return Err(QueueSetupError::OutsideMemory);
        }
        Ok(DeviceQueue::new(queue, memory.clone(), position))
    }
}

fn set_low(address: &mut u64, value: u32) {
    *address = *address & !u64::from(u32::MAX) | u64::from(value);
}

fn set_high(address: &mut u64, value: u32) {
    *address = *address & u64::from(u32::MAX) | u64::from(value) << 32;
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY_BYTES: u64 = 1 << 20;

    fn setup(writes: &[(u32, u32)]) -> QueueSetup {
        let mut setup = QueueSetup::new(256);
        for (register, value) in writes {
            setup.write(*register, *value);
        }
        setup
    }

    /// A setup of 16 entries that is all right, and then these writes.
    fn good_but(writes: &[(u32, u32)]) -> Result<DeviceQueue, QueueSetupError> {
        let mut all = vec![
            (VIRTIO_MMIO_QUEUE_NUM, 16),
            (VIRTIO_MMIO_QUEUE_DESC_LOW, 0x1000),
            (VIRTIO_MMIO_QUEUE_AVAIL_LOW, 0x2000),
            (VIRTIO_MMIO_QUEUE_USED_LOW, 0x3000),
        ];
        all.extend_from_slice(writes);
        all.push((VIRTIO_MMIO_QUEUE_READY, 1));
        let memory = crate::memory::allocate(MEMORY_BYTES).unwrap();
        setup(&all).build(&memory, true, QueuePosition::default())
    }

    #[test]
    fn a_queue_in_memory_is_built() {
        assert!(good_but(&[]).is_ok());
    }

    #[test]
    fn a_size_is_a_power_of_two_up_to_the_largest() {
        for size in [1, 2, 128, 256] {
            assert!(good_but(&[(VIRTIO_MMIO_QUEUE_NUM, size)]).is_ok(), "{size}");
        }
        for size in [0, 3, 255, 512, 0x1_0010, u32::MAX] {
            assert!(
                matches!(
                    good_but(&[(VIRTIO_MMIO_QUEUE_NUM, size)]),
                    Err(QueueSetupError::Size(given)) if given == size
                ),
                "{size}"
            );
        }
    }

    #[test]
    fn rings_are_aligned_and_in_memory() {
        for (register, unaligned) in [
            (VIRTIO_MMIO_QUEUE_DESC_LOW, 0x1008),
            (VIRTIO_MMIO_QUEUE_AVAIL_LOW, 0x2001),
            (VIRTIO_MMIO_QUEUE_USED_LOW, 0x3002),
        ] {
            assert!(matches!(
                good_but(&[(register, unaligned)]),
                Err(QueueSetupError::Alignment(_))
            ));
            // The last aligned address of memory, and all addresses with a high half.
            let last = MEMORY_BYTES as u32 - 16;
            for write in [
                (register, last),
                (register + 4, 1),
                (register + 4, u32::MAX),
            ] {
                assert!(matches!(
                    good_but(&[write]),
                    Err(QueueSetupError::OutsideMemory)
                ));
            }
        }
    }

    #[test]
    fn a_queue_that_is_ready_is_not_changed() {
        let mut queue = setup(&[(VIRTIO_MMIO_QUEUE_READY, 1)]);
        let before = queue.clone();
        for register in (0..0x100).filter(|register| *register != VIRTIO_MMIO_QUEUE_READY) {
            queue.write(register, 4);
        }
        assert_eq!(queue, before);
    }

    #[test]
    fn a_queue_that_is_not_ready_is_not_built() {
        let memory = crate::memory::allocate(MEMORY_BYTES).unwrap();
        assert!(matches!(
            setup(&[]).build(&memory, false, QueuePosition::default()),
            Err(QueueSetupError::NotReady)
        ));
    }
}
