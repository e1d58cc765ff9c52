use std::sync::atomic::{Ordering, fence};

use serde::{Deserialize, Serialize};
use virtio_queue::{Queue, QueueOwnedT, QueueT};
use vm_memory::{Bytes, GuestAddress};

use super::{Chain, Writable};
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

/// How often a device may still look at a queue before something else has its turn.
///
/// A driver may offer chains as fast as they are used. And it may lay a ring over another, so
/// that what the device writes to the one is a chain in the other, or says that there is one.
#[derive(Debug)]
pub struct Allowance(u32);

impl Allowance {
    /// For so many looks.
    pub fn of(looks: u32) -> Self {
        Self(looks)
    }

    /// Whether the device may look once more.
    pub fn take(&mut self) -> bool {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }

    /// Whether there is nothing left of it.
    pub fn is_used_up(&self) -> bool {
        self.0 == 0
    }
}

impl Default for Allowance {
    /// As many as the largest queue has chains.
    fn default() -> Self {
        Self::of(256)
    }
}

/// What [`DeviceQueue::serve_all`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// The driver wants an interrupt for what was used.
    pub wants_interrupt: bool,
    /// There may be more: the device is to be woken again, as the driver does not do it.
    pub unfinished: bool,
}

/// What [`DeviceQueue::fill_next`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filling {
    /// Filled chains went back to the driver.
    Filled,
    /// There is not enough room in all that the driver has offered so far.
    NoRoom {
        /// How many chains that are.
        chains: u16,
    },
    /// As many chains as may be used don't have enough room.
    TooLong,
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
    /// Chains given back, modulo 2^16, when it was last asked whether the driver wants to know.
    told_used: u16,
}

impl DeviceQueue {
    pub(super) fn new(mut queue: Queue, memory: GuestMemory, position: QueuePosition) -> Self {
        // A position that does not fit the driver's is found when the queue is used.
        queue.set_next_avail(position.next_available);
        queue.set_next_used(position.next_used);
        Self {
            queue,
            memory,
            told_used: position.next_used,
        }
    }

    /// Takes the next chain, and does not give it back.
    #[cfg(test)]
    pub(super) fn skip_chain(&mut self) {
        self.queue
            .set_next_avail(self.queue.next_avail().wrapping_add(1));
    }

    /// Most chains that it holds.
    pub fn size(&self) -> u16 {
        self.queue.size()
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

    /// Lets `answer` look at each chain until there is none, or the [`Allowance`] is used up, and
    /// gives them back; it says how many bytes it has written to a chain. When there was none left,
    /// the driver notifies of the next.
    ///
    /// # Errors
    ///
    /// When the driver has broken the rings.
    pub fn serve_all(
        &mut self,
        mut answer: impl FnMut(Chain<'_>) -> u32,
    ) -> Result<Served, BrokenQueue> {
        let mut allowance = Allowance::default();
        let mut used = false;
        loop {
            self.disable_notification()?;
            while allowance.take()
                && self.serve_next(|chain| Outcome::Used(answer(chain)))? == Step::Used
            {
                used = true;
            }
            let unfinished = allowance.is_used_up();
            if unfinished || !self.enable_notification()? {
                return Ok(Served {
                    wants_interrupt: used && self.needs_interrupt()?,
                    unfinished,
                });
            }
        }
    }

    /// Lets `fill` write `bytes` bytes to the next chains, as many as that takes and at most
    /// `max_chains`, which then go back to the driver together: it sees none of them before all
    /// are there. `fill` gets a buffer of just that size, and the number of chains that it is
    /// spread over. A chain that is none has no room.
    ///
    /// If there is not enough room, no chain is touched and all stay in the queue.
    ///
    /// # Errors
    ///
    /// When the driver has broken the rings.
    pub fn fill_next(
        &mut self,
        bytes: u32,
        max_chains: u16,
        fill: impl FnOnce(Writable<'_>, u16),
    ) -> Result<Filling, BrokenQueue> {
        let first = self.queue.next_avail();
        let max_descriptors = self.queue.size();
        let mut room = Writable::default();
        let mut used = Vec::new();
        while room.bytes() < bytes {
            let chain = match used.len() < usize::from(max_chains) {
                true => self.queue.iter(&self.memory)?.next(),
                false => {
                    self.queue.set_next_avail(first);
                    return Ok(Filling::TooLong);
                }
            };
            let Some(raw) = chain else {
                let chains = self.queue.next_avail().wrapping_sub(first);
                self.queue.set_next_avail(first);
                return Ok(Filling::NoRoom { chains });
            };
            let head = raw.head_index();
            let chain = Chain::new(raw, &self.memory, max_descriptors);
            let writable = chain.buffers().map(|buffers| buffers.writable);
            let taken = room.append_up_to(writable.unwrap_or_default(), bytes);
            used.push((head, taken));
        }
        // At most as many as fit into the queue: the driver's index was checked against that.
        fill(room, used.len() as u16);
        self.give_back_together(&used)?;
        Ok(Filling::Filled)
    }

    /// Writes chains, with how many bytes each holds, to the used ring, and then its index once
    /// (virtio 1.2, section 2.7.8).
    fn give_back_together(&mut self, chains: &[(u16, u32)]) -> Result<(), BrokenQueue> {
        let ring = self.queue.used_ring();
        let mut next = self.queue.next_used();
        for (head, bytes) in chains {
            if *head >= self.queue.size() {
                return Err(virtio_queue::Error::InvalidDescriptorIndex.into());
            }
            let slot = u64::from(next % self.queue.size());
            let element = [u32::from(*head).to_le(), bytes.to_le()];
            self.memory
                .write_obj(element, at(ring, 4 + slot * 8)?)
                .map_err(virtio_queue::Error::GuestMemory)?;
            next = next.wrapping_add(1);
        }
        self.queue.set_next_used(next);
        self.memory
            .store(next.to_le(), at(ring, 2)?, Ordering::Release)
            .map_err(virtio_queue::Error::GuestMemory)?;
        Ok(())
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

    /// The same, of the next chain behind so many that stay in the queue.
    ///
    /// # Errors
    ///
    /// When the driver has broken the rings.
    pub fn enable_notification_behind(&mut self, chains: u16) -> Result<bool, BrokenQueue> {
        let first = self.queue.next_avail();
        self.queue.set_next_avail(first.wrapping_add(chains));
        let more = self.enable_notification();
        self.queue.set_next_avail(first);
        more
    }

    /// Whether the driver wants an interrupt for what was used since the last call.
    ///
    /// # Errors
    ///
    /// When the driver has broken the rings.
    pub fn needs_interrupt(&mut self) -> Result<bool, BrokenQueue> {
        let (told, used) = (self.told_used, self.queue.next_used());
        self.told_used = used;
        if !self.queue.event_idx_enabled() {
            return Ok(true);
        }
        // What was used must be seen by whoever writes the index that is read here (section
        // 2.7.10).
        fence(Ordering::SeqCst);
        let used_event = 4 + u64::from(self.queue.size()) * 2;
        let event: u16 = self
            .memory
            .load(at(self.queue.avail_ring(), used_event)?, Ordering::Relaxed)
            .map_err(virtio_queue::Error::GuestMemory)?;
        // Whether the index has passed the one that the driver waits for.
        let since = |index: u16| used.wrapping_sub(index);
        Ok(since(u16::from_le(event)).wrapping_sub(1) < since(told))
    }
}

/// The address so far behind the start of a ring.
fn at(ring: u64, offset: u64) -> Result<GuestAddress, BrokenQueue> {
    let address = ring.checked_add(offset);
    Ok(GuestAddress(
        address.ok_or(virtio_queue::Error::AddressOverflow)?,
    ))
}
