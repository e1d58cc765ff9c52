//! Virtio devices: what they have in common, and a folder each.
//!
//! The guest sees a device through its transport ([`mmio`]), on the vCPU's thread. The device
//! itself is woken by its queues' eventfds, on the thread of its event manager. Both hold it
//! behind one mutex; the transport takes it for a moment when the driver comes, goes, or reads
//! the configuration. Notifications (ioeventfd) and interrupts (irqfd) do without.
//!
//! To add a device: implement [`VirtioDevice`], [`SavedState`] and
//! `event_manager::MutEventSubscriber`, with [`Slots`] for its queues, and let the builder attach it
//! behind an [`mmio::MmioTransport`].

pub mod balloon;
pub mod block;
mod checked;
pub mod fs;
mod interrupt;
pub mod mmio;
pub mod net;
mod queue;
pub mod rng;
mod slots;
pub mod vsock;

#[cfg(test)]
mod driver;

use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

pub use checked::{Buffers, Chain, ChainError, Readable, Target, TooShort, Writable};
pub use interrupt::Interrupt;
pub use queue::{
    Allowance, BrokenQueue, DeviceQueue, Filling, Outcome, QueuePosition, Served, Step,
};

pub use slots::{Slots, Stopped};

use super::SavedState;

/// A queue as the device offers it.
pub struct QueueSlot {
    /// The largest size the driver may choose, a power of two.
    pub max_size: u16,
    /// Written when the driver has put something into the queue.
    pub notify: EventFd,
}

impl QueueSlot {
    /// A slot with an eventfd of its own.
    ///
    /// # Errors
    ///
    /// When there are no more descriptors.
    pub fn new(max_size: u16) -> std::io::Result<Self> {
        Ok(Self {
            max_size,
            notify: EventFd::new(EFD_NONBLOCK)?,
        })
    }

    /// Does what the driver does when it has put something into the queue. A device that has not
    /// finished does it, too.
    fn wake(&self) {
        if let Err(error) = self.notify.write(1) {
            tracing::error!("a notification was lost: {error}");
        }
    }
}

/// The transport handed over another number of queues than the device has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} queues were handed over")]
pub struct WrongQueueCount(pub usize);

/// What a transport needs to know of a device.
///
/// The device's own saved state leaves out its queues and whether it serves them, which the
/// transport saves: a device is restored first, and then activated.
pub trait VirtioDevice: SavedState + Send {
    /// What it is, a number of virtio 1.2, section 5; 0 for a place with nothing in it (section
    /// 4.2.2.2), which a driver leaves alone.
    fn device_id(&self) -> u32;

    /// Feature bits of its own; the transport adds those that concern the transport and rings.
    fn features(&self) -> u64;

    /// The device configuration space, read-only.
    fn config(&self) -> &[u8];

    /// Its queues, in the order of their numbers.
    fn queues(&self) -> &[QueueSlot];

    /// The driver has chosen these of the features, and of the transport's. Comes before
    /// [`VirtioDevice::activate`]; to most devices it makes no difference.
    fn negotiated(&mut self, _features: u64) {}

    /// The driver is ready: from now on the device serves these queues, one for each of
    /// [`VirtioDevice::queues`], and signals this interrupt.
    ///
    /// # Errors
    ///
    /// When it is not one queue for each.
    fn activate(
        &mut self,
        queues: Vec<DeviceQueue>,
        interrupt: Interrupt,
    ) -> Result<(), WrongQueueCount>;

    /// The queues that it was activated with, in the order of their numbers; `None` if it serves
    /// none, before it is activated and after a reset, or because one of them was broken.
    fn served_queues(&self) -> Option<Vec<&DeviceQueue>>;

    /// Forgets queues, interrupt and all else that the driver has brought about. The device does
    /// not touch guest memory from here to the next activation.
    fn reset(&mut self);
}
