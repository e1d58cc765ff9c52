//! A source of random numbers (virtio 1.2, section 5.4): the host's.
//!
//! `event_handler` is how it is woken, `state` what is saved of it.

mod event_handler;
mod state;

use std::io;

use virtio_bindings::virtio_ids::VIRTIO_ID_RNG;

use super::{Buffers, Chain, DeviceQueue, Interrupt, QueueSlot, VirtioDevice, WrongQueueCount};

/// A driver asks for one buffer at a time.
const QUEUE_SIZE: u16 = 8;

/// Most bytes of an answer, however long the buffer is (section 5.4.6.2: one at least). So many
/// come whole, and no signal interrupts (getrandom(2)).
const MAX_BYTES: usize = 256;

/// A source of random numbers.
pub struct Rng {
    slots: [QueueSlot; 1],
    active: Option<Active>,
}

/// What the device has while a driver uses it.
struct Active {
    queue: DeviceQueue,
    interrupt: Interrupt,
}

impl Rng {
    /// A source of the host's random numbers.
    ///
    /// # Errors
    ///
    /// When there are no more descriptors.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            slots: [QueueSlot::new(QUEUE_SIZE)?],
            active: None,
        })
    }

    /// Answers all that the driver asks for, and interrupts it once, if it wants that.
    fn serve(&mut self) {
        let Some(active) = &mut self.active else {
            return;
        };
        match active.queue.serve_all(answer) {
            Ok(served) => {
                if served.wants_interrupt {
                    active.interrupt.signal_used();
                }
                if served.unfinished {
                    let [slot] = &self.slots;
                    slot.wake();
                }
            }
            Err(error) => {
                tracing::warn!(
                    "random numbers: {error}: {:?}",
                    std::error::Error::source(&error)
                );
                active.interrupt.demand_reset();
                self.active = None;
            }
        }
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
        &self.slots
    }

    fn activate(
        &mut self,
        queues: Vec<DeviceQueue>,
        interrupt: Interrupt,
    ) -> Result<(), WrongQueueCount> {
        let [queue] = <[_; 1]>::try_from(queues).map_err(|all| WrongQueueCount(all.len()))?;
        self.active = Some(Active { queue, interrupt });
        Ok(())
    }

    fn served_queues(&self) -> Option<Vec<&DeviceQueue>> {
        Some(vec![&self.active.as_ref()?.queue])
    }

    fn reset(&mut self) {
        self.active = None;
    }
}

#[cfg(test)]
mod tests;
