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

use super::{BrokenQueue, DeviceQueue, Interrupt, QueueSlot, VirtioDevice, WrongQueueCount};

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
    slots: [QueueSlot; QUEUES],
    active: Option<Active>,
}

/// What the device has while a driver uses it.
struct Active {
    queues: [DeviceQueue; QUEUES],
    interrupt: Interrupt,
}

impl Balloon {
    /// A flat one.
    ///
    /// # Errors
    ///
    /// When there are no more descriptors.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            slots: [
                QueueSlot::new(QUEUE_SIZE)?,
                QueueSlot::new(QUEUE_SIZE)?,
                QueueSlot::new(QUEUE_SIZE)?,
            ],
            active: None,
        })
    }

    /// Takes all that the driver tells, and interrupts it once, if it wants that.
    fn serve(&mut self) {
        let Some(active) = &mut self.active else {
            return;
        };
        match active.serve(&self.slots) {
            Ok(true) => active.interrupt.signal_used(),
            Ok(false) => (),
            Err(error) => {
                tracing::warn!("balloon: {error}: {:?}", std::error::Error::source(&error));
                active.interrupt.demand_reset();
                self.active = None;
            }
        }
    }
}

impl Active {
    /// `true` if the driver wants an interrupt.
    fn serve(&mut self, slots: &[QueueSlot; QUEUES]) -> Result<bool, BrokenQueue> {
        let mut wanted = false;
        for (number, (queue, slot)) in self.queues.iter_mut().zip(slots).enumerate() {
            let served = queue.serve_all(|chain| {
                match number {
                    REPORTS => report::take(chain),
                    // Pages that nobody has asked for stay the guest's.
                    _ => tracing::debug!("balloon: a buffer in queue {number}"),
                }
                0
            })?;
            wanted |= served.wants_interrupt;
            if served.unfinished {
                slot.wake();
            }
        }
        Ok(wanted)
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
        &self.slots
    }

    fn activate(
        &mut self,
        queues: Vec<DeviceQueue>,
        interrupt: Interrupt,
    ) -> Result<(), WrongQueueCount> {
        let queues = <[_; QUEUES]>::try_from(queues).map_err(|all| WrongQueueCount(all.len()))?;
        self.active = Some(Active { queues, interrupt });
        Ok(())
    }

    fn served_queues(&self) -> Option<Vec<&DeviceQueue>> {
        Some(self.active.as_ref()?.queues.iter().collect())
    }

    fn reset(&mut self) {
        self.active = None;
    }
}

#[cfg(test)]
mod tests;
