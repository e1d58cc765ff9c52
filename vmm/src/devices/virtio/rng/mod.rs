//! A source of random numbers (virtio 1.2, section 5.4): the host's.
//!
//! `event_handler` is how it is woken, `state` what is saved of it.

mod event_handler;
mod state;

use std::io;

use virtio_bindings::virtio_ids::VIRTIO_ID_RNG;

use super::{
    Buffers, Chain, DeviceQueue, Interrupt, QueueSlot, Slots, VirtioDevice, WrongQueueCount,
};

/// A driver asks for one buffer at a time.
const QUEUE_SIZE: u16 = 8;

/// Most bytes of an answer, however long the buffer is (section 5.4.6.2: one at least). So many
/// come whole, and no signal interrupts (getrandom(2)).
const MAX_BYTES: usize = 256;

/// A source of random numbers.
pub struct Rng {
    slots: Slots<1>,
}

impl Rng {
    /// A source of the host's random numbers.
    ///
    /// # Errors
    ///
    /// When there are no more descriptors.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            slots: Slots::new(QUEUE_SIZE)?,
        })
    }

    /// Answers all that the driver asks for, and interrupts it once, if it wants that.
    fn serve(&mut self) {
        // A queue that was broken is the driver's affair.
        let _ = self
            .slots
            .serve("random numbers", |_, queue, _| queue.serve_all(answer));
    }
}

/// Fills the start of the chain's buffers; how many bytes that are.
fn answer(chain: Chain<'_>) -> u32 {
    let writable = match chain.buffers() {
        Ok(Buffers { writable, .. }) => writable,
        Err(error) => {
            tracing::debug!("random numbers: {error}");
            return 0;
        }
    };
    let mut random = [0; MAX_BYTES];
    let bytes = MAX_BYTES.min(writable.bytes() as usize);
    let random = &mut random[..bytes];
    if let Err(error) = rustix::rand::getrandom(&mut *random, rustix::rand::GetRandomFlags::empty())
    {
        tracing::warn!("the host gives no random numbers: {error}");
        return 0;
    }
    match writable.copy_from(random) {
        Ok(()) => bytes as u32,
        // It was made no longer than the buffers.
        Err(_) => 0,
    }
}

impl VirtioDevice for Rng {
    fn device_id(&self) -> u32 {
        VIRTIO_ID_RNG
    }

    fn features(&self) -> u64 {
        0
    }

    fn config(&self) -> &[u8] {
        &[]
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
