//! A network interface (virtio 1.2, section 5.1), or the place for one.
//!
//! `tap` is its link to the host's network, `header` what stands before each frame, `receive` and
//! `transmit` are its two directions, `rate` limits what passes them, `event_handler` is how it is woken, `state` what is saved of
//! it.
//!
//! A place without a link shows no device at all, so that a machine without a network has no
//! interface, and one that was saved before it was known what it runs can be given one: its guest
//! then has the place probed again.

mod event_handler;
mod header;
mod rate;
mod receive;
mod state;
mod tap;
mod transmit;

use std::io;
use std::num::NonZeroU64;
use std::time::Duration;

use virtio_bindings::virtio_ids::VIRTIO_ID_NET;
use virtio_bindings::virtio_net::{
    VIRTIO_NET_F_CSUM, VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_ECN, VIRTIO_NET_F_GUEST_TSO4,
    VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_MAC, VIRTIO_NET_F_MRG_RXBUF,
    VIRTIO_NET_F_MTU,
};

use super::{BrokenQueue, DeviceQueue, Interrupt, QueueSlot, VirtioDevice, WrongQueueCount};
use rate::Limits;
use receive::Receiver;
pub use tap::{Tap, TapError};
use transmit::Transmitter;

/// Frames that may wait on either side: as many as the host's own interfaces take in one go
/// (`net.core.dev_weight`, four times).
const QUEUE_SIZE: u16 = 256;

/// Queues, in the order of their numbers (section 5.1.2): frames to the guest, frames from it.
const QUEUES: usize = 2;
const TO_GUEST: usize = 0;
const FROM_GUEST: usize = 1;

/// Most frames that are moved in one direction before something else has its turn on the
/// devices' thread.
const FRAMES_AT_ONCE: u32 = 64;

/// The device configuration up to the last field that we have (section 5.1.4): `mac`, 48 bits;
/// `status` and `max_virtqueue_pairs`, 16 bits each, not offered; `mtu`, 16 bits.
const CONFIG_BYTES: usize = 12;

/// What the device does for the guest, whatever its link.
const FEATURES: u64 = 1 << VIRTIO_NET_F_MAC
    | 1 << VIRTIO_NET_F_MTU
    | 1 << VIRTIO_NET_F_MRG_RXBUF
    // What it may leave to the host: checksums, and cutting TCP into segments.
    | 1 << VIRTIO_NET_F_CSUM
    | 1 << VIRTIO_NET_F_HOST_TSO4
    | 1 << VIRTIO_NET_F_HOST_ECN;

/// What the host may leave to the guest, where the link can be told to.
const OFFLOADS: u64 =
    1 << VIRTIO_NET_F_GUEST_CSUM | 1 << VIRTIO_NET_F_GUEST_TSO4 | 1 << VIRTIO_NET_F_GUEST_ECN;

/// What is connected to a network.
pub struct Link {
    /// The way to the host's network.
    pub tap: Tap,
    /// The guest's Ethernet address.
    pub ethernet_address: [u8; 6],
    /// The longest packet that the network takes, in bytes.
    pub mtu: u16,
    /// Most bytes a second that pass each way, of frames without what stands before them.
    pub rate: Option<NonZeroU64>,
}

/// A guest's network interface, or an empty place for one.
pub struct Net {
    tap: Option<Tap>,
    limits: Option<Limits>,
    config: [u8; CONFIG_BYTES],
    slots: [QueueSlot; QUEUES],
    driver_features: u64,
    active: Option<Active>,
}

/// What the device has while a driver uses it.
struct Active {
    receiver: Receiver,
    transmitter: Transmitter,
    interrupt: Interrupt,
}

/// What was done in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Turn {
    /// Buffers went back to the driver.
    used: bool,
    /// There is more to be done.
    unfinished: bool,
    /// There may be more to be done, in so long.
    wait: Option<Duration>,
}

impl Net {
    /// An interface with this link, or a place for one.
    ///
    /// # Errors
    ///
    /// When there are no more descriptors.
    pub fn new(link: Option<Link>) -> io::Result<Self> {
        let mut config = [0; CONFIG_BYTES];
        if let Some(link) = &link {
            config[..6].copy_from_slice(&link.ethernet_address);
            config[10..].copy_from_slice(&link.mtu.to_le_bytes());
        }
        let rate = link.as_ref().and_then(|link| link.rate);
        Ok(Self {
            limits: rate.map(Limits::new).transpose()?,
            tap: link.map(|link| link.tap),
            config,
            slots: [QueueSlot::new(QUEUE_SIZE)?, QueueSlot::new(QUEUE_SIZE)?],
            driver_features: 0,
            active: None,
        })
    }

    /// Moves frames both ways, and interrupts the driver once, if it wants that.
    fn serve(&mut self) {
        let (Some(tap), Some(active)) = (&self.tap, &mut self.active) else {
            return;
        };
        match active.serve(tap, &self.slots, self.limits.as_mut()) {
            Ok(true) => active.interrupt.signal_used(),
            Ok(false) => (),
            Err(error) => {
                tracing::warn!("network: {error}: {:?}", std::error::Error::source(&error));
                active.interrupt.demand_reset();
                self.active = None;
            }
        }
    }
}

impl Active {
    /// `true` if the driver wants an interrupt.
    fn serve(
        &mut self,
        tap: &Tap,
        slots: &[QueueSlot; QUEUES],
        mut limits: Option<&mut Limits>,
    ) -> Result<bool, BrokenQueue> {
        let sent = self
            .transmitter
            .serve(tap, limits.as_deref_mut().map(|it| &mut it.from_guest))?;
        let received = self
            .receiver
            .serve(tap, limits.as_deref_mut().map(|it| &mut it.to_guest))?;
        if let Some(limits) = limits
            && let Some(wait) = sent.wait.into_iter().chain(received.wait).min()
        {
            limits.wake_in(wait);
        }
        for (turn, slot) in [(received, &slots[TO_GUEST]), (sent, &slots[FROM_GUEST])] {
            if turn.unfinished {
                slot.wake();
            }
        }
        // Both are asked: each forgets what it has told of.
        let sent = sent.used && self.transmitter.queue.needs_interrupt()?;
        let received = received.used && self.receiver.queue.needs_interrupt()?;
        Ok(sent || received)
    }
}

impl VirtioDevice for Net {
    fn device_id(&self) -> u32 {
        match self.tap {
            Some(_) => VIRTIO_ID_NET,
            None => 0,
        }
    }

    fn features(&self) -> u64 {
        match &self.tap {
            Some(tap) if tap.takes_offloads() => FEATURES | OFFLOADS,
            _ => FEATURES,
        }
    }

    fn config(&self) -> &[u8] {
        &self.config
    }

    fn queues(&self) -> &[QueueSlot] {
        &self.slots
    }

    fn negotiated(&mut self, features: u64) {
        self.driver_features = features;
    }

    fn activate(
        &mut self,
        queues: Vec<DeviceQueue>,
        interrupt: Interrupt,
    ) -> Result<(), WrongQueueCount> {
        let [to_guest, from_guest] =
            <[_; QUEUES]>::try_from(queues).map_err(|all| WrongQueueCount(all.len()))?;
        if let Some(tap) = &self.tap
            && let Err(error) = tap.offload(self.driver_features)
        {
            tracing::warn!("the network does without the guest's help: {error}");
        }
        self.active = Some(Active {
            receiver: Receiver::new(to_guest, self.driver_features),
            transmitter: Transmitter::new(from_guest, self.driver_features),
            interrupt,
        });
        Ok(())
    }

    fn served_queues(&self) -> Option<Vec<&DeviceQueue>> {
        let active = self.active.as_ref()?;
        Some(vec![&active.receiver.queue, &active.transmitter.queue])
    }

    fn reset(&mut self) {
        self.driver_features = 0;
        self.active = None;
    }
}

#[cfg(test)]
mod tests;
