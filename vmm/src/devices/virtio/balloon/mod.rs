//! A memory balloon (virtio 1.2, section 5.5) that stays flat, for the sake of its reports: the
//! driver tells which of the guest's memory is free, and the host gets that back.
//!
//! `report` is what becomes of that memory, `event_handler` how it is woken, `state` what is saved
//! of it.

mod event_handler;
mod report;
mod state;

use std::io;

use virtio_bindings::virtio_ids::VIRTIO_ID_BALLOON;

use super::{DeviceQueue, Interrupt, QueueSlot, Slots, VirtioDevice, WrongQueueCount};

/// `VIRTIO_BALLOON_F_PAGE_REPORTING` (section 5.5.3), the one feature that is offered.
const FREE_PAGE_REPORTING: u32 = 5;

/// Linux wants room for the 32 ranges of a report (`PAGE_REPORTING_CAPACITY`).
const QUEUE_SIZE: u16 = 32;

/// Queues, in the order of their numbers: pages that are put into the balloon, pages that are
/// taken out, and reports. By the table of section 5.5.2 reports have number 4; drivers count
/// the queues that there are (Linux, `vm_find_vqs`).
const QUEUES: usize = 3;
const REPORTS: usize = 2;

/// The device configuration up to the last field that we have (section 5.5.4): `num_pages` and
/// `actual`, 32 bits each. No page is ever asked for.
const CONFIG: [u8; 8] = [0; 8];

/// A balloon.
pub struct Balloon {
    slots: Slots<QUEUES>,
}

impl Balloon {
    /// A flat one.
    ///
    /// # Errors
    ///
    /// When there are no more descriptors.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            slots: Slots::new(QUEUE_SIZE)?,
        })
    }

    /// Takes all that the driver tells, and interrupts it once, if it wants that.
    fn serve(&mut self) {
        // A queue that was broken is the driver's affair.
        let _ = self.slots.serve("balloon", |number, queue, _| {
            queue.serve_all(|chain| {
                match number {
                    REPORTS => report::take(chain),
                    // Pages that nobody has asked for stay the guest's.
                    _ => tracing::debug!("balloon: a buffer in queue {number}"),
                }
                0
            })
        });
    }
}

impl VirtioDevice for Balloon {
    fn device_id(&self) -> u32 {
        VIRTIO_ID_BALLOON
    }

    fn features(&self) -> u64 {
        1 << FREE_PAGE_REPORTING
    }

    fn config(&self) -> &[u8] {
        &CONFIG
    }

    fn queues(&self) -> &[QueueSlot] {
        self.slots.offered()
    }

    fn activate(
        &mut self,
        queues: Vec<DeviceQueue>,
        interrupt: Interrupt,
    ) -> Result<(), WrongQueueCount> {
        self.slots.activate(queues, interrupt)
    }

    fn served_queues(&self) -> Option<Vec<&DeviceQueue>> {
        self.slots.served()
    }

    fn reset(&mut self) {
        self.slots.reset();
    }
}

#[cfg(test)]
mod tests;
