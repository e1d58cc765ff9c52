use serde::{Deserialize, Serialize};
use virtio_queue::{Queue, QueueOwnedT, QueueT};

use super::Chain;
use crate::memory::GuestMemory;

/// The driver has broken the rules of the rings themselves; nothing more can be had from the
/// queue before the device is reset.
#[derive(Debug, thiserror::Error)]
#[error("a queue is broken")]
pub struct BrokenQueue(#[from] virtio_queue::Error);

/// What a device did with a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The chain goes back to the driver; this many bytes were written to it.
    Used(u32),
    /// The chain was not needed and stays the next one in the queue.
    PutBack,
}

/// What [`DeviceQueue::serve_next`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A chain went back to the driver.
    Used,
    /// The chain was put back.
    PutBack,
    /// There was no chain.
    Empty,
}

/// How far a device has come with a queue. Between two wakings this is all that it knows of it:
/// what it has told the driver to be notified of, and what interrupts the driver wants, is in
/// guest memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePosition {
    /// Chains taken, modulo 2^16.
    next_available: u16,
    /// Chains given back, modulo 2^16.
    next_used: u16,
}

/// A queue that a driver has set up, in memory that was checked to hold its rings.
///
/// Chains are only ever handed to a closure, which says what became of them. So each of them
/// goes back to the driver once, or stays in the queue.
#[derive(Debug)]
pub struct DeviceQueue {
    queue: Queue,
    memory: GuestMemory,
}

impl DeviceQueue {
    pub(super) fn new(mut queue: Queue, memory: GuestMemory, position: QueuePosition) -> Self {
        // A position that does not fit the driver's is found when the queue is used.
        queue.set_next_avail(position.next_available);
        queue.set_next_used(position.next_used);
        Self { queue, memory }
    }

    /// How far the device has come.
    pub fn position(&self) -> QueuePosition {
        QueuePosition {
            next_available: self.queue.next_avail(),
            next_used: self.queue.next_used(),
        }
    }

    /// Lets `handle` look at the next chain.
    ///
    /// # Errors
    ///
    /// When the driver has broken the rings.
    pub fn serve_next(
        &mut self,
        handle: impl FnOnce(Chain<'_>) -> Outcome,
    ) -> Result<Step, BrokenQueue> {
        let max_descriptors = self.queue.size();
        // Checks that the driver's index is not further ahead than the queue is long.
        let Some(raw) = self.queue.iter(&self.memory)?.next() else {
            return Ok(Step::Empty);
        };
        let head = raw.head_index();
        match handle(Chain::new(raw, &self.memory, max_descriptors)) {
            Outcome::Used(bytes) => {
                self.queue.add_used(&self.memory, head, bytes)?;
                Ok(Step::Used)
            }
            Outcome::PutBack => {
                self.queue.go_to_previous_position();
                Ok(Step::PutBack)
            }
        }
    }

    /// Asks the driver not to notify; it may do so all the same.
    ///
    /// # Errors
    ///
    /// When the driver has broken the rings.
    pub fn disable_notification(&mut self) -> Result<(), BrokenQueue> {
        Ok(self.queue.disable_notification(&self.memory)?)
    }

    /// Asks the driver to notify of the next chain. `true` when there is one already, of which
    /// no notification may come.
    ///
    /// # Errors
    ///
    /// When the driver has broken the rings.
    pub fn enable_notification(&mut self) -> Result<bool, BrokenQueue> {
        Ok(self.queue.enable_notification(&self.memory)?)
    }

    /// Whether the driver wants an interrupt for what was used since the last call.
    ///
    /// # Errors
    ///
    /// When the driver has broken the rings.
    pub fn needs_interrupt(&mut self) -> Result<bool, BrokenQueue> {
        Ok(self.queue.needs_notification(&self.memory)?)
    }
}
