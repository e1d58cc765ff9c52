//! Virtual sockets (virtio 1.2, section 5.10): streams that a guest opens to ports of its host.
//!
//! Each port has one end of a pair of Unix sockets behind it, whose other end is the host's. The
//! first connection to the port is joined with it; any other is refused. So a guest can't have
//! more connections than there are ports. Ports come and go while the device is used.
//!
//! `packet` is the language of the queues, `credit` how much may be under way,
//! `guest_to_host` and `host_to_guest` the two directions of a `connection`, `muxer`
//! finds the connection of a packet and the next packet of all connections, `event_handler`
//! is how the device is woken, `state` what is saved of it.

mod connection;
mod credit;
mod event_handler;
mod guest_to_host;
mod host_to_guest;
mod muxer;
mod packet;
mod state;
mod violation;

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixStream;

use virtio_bindings::virtio_ids::VIRTIO_ID_VSOCK;

use super::{
    Allowance, BrokenQueue, Chain, DeviceQueue, Interrupt, Outcome, QueueSlot, Served, Step,
    VirtioDevice, WrongQueueCount,
};
pub use credit::BUFFER_BYTES;
use muxer::Muxer;
use packet::{Empty, Received};
pub use packet::{HOST_CID, MAX_DATA_BYTES};
pub use state::{InvalidState, State};

/// Packets that may wait on either side. Linux gives a buffer of 4 KiB for each that it can
/// receive.
const QUEUE_SIZE: u16 = 256;

/// Queues, in the order of their numbers (section 5.10.2): for packets to the guest, for packets
/// from it, for events, of which there are none.
const QUEUES: usize = 3;
const FROM_GUEST: usize = 1;

/// A guest's socket device.
pub struct Vsock {
    /// The device configuration (section 5.10.4): the guest's context ID, 64 bits.
    config: [u8; 8],
    slots: [QueueSlot; QUEUES],
    muxer: Muxer,
    active: Option<Active>,
}

/// What the device has while a driver uses it.
struct Active {
    to_guest: DeviceQueue,
    from_guest: DeviceQueue,
    /// Stays as it is.
    events: DeviceQueue,
    interrupt: Interrupt,
}

impl Vsock {
    /// A device for the guest with context ID `guest_cid`, with these ports of the host and what
    /// their first connections are joined with.
    ///
    /// # Errors
    ///
    /// When there are no more descriptors.
    pub fn new(guest_cid: u64, ports: BTreeMap<u32, UnixStream>) -> io::Result<Self> {
        Ok(Self {
            config: guest_cid.to_le_bytes(),
            slots: [
                QueueSlot::new(QUEUE_SIZE)?,
                QueueSlot::new(QUEUE_SIZE)?,
                QueueSlot::new(QUEUE_SIZE)?,
            ],
            muxer: Muxer::new(guest_cid, ports)?,
            active: None,
        })
    }

    /// Adds ports, with what their first connections are joined with.
    ///
    /// # Errors
    ///
    /// When there is such a port already, or there are too many.
    pub fn add_ports(&mut self, ports: BTreeMap<u32, UnixStream>) -> io::Result<()> {
        self.muxer.add(ports)
    }

    /// Takes ports away. The guest finds connections to them reset.
    pub fn remove_ports(&mut self, ports: impl IntoIterator<Item = u32>) {
        for port in ports {
            self.muxer.remove(port);
        }
        self.serve();
    }

    /// Moves all that can be moved, both ways, and interrupts the driver once, if it wants that.
    fn serve(&mut self) {
        let Some(active) = &mut self.active else {
            return;
        };
        match active.serve(&mut self.muxer) {
            Ok(served) => {
                if served.wants_interrupt {
                    active.interrupt.signal_used();
                }
                if served.unfinished {
                    self.slots[FROM_GUEST].wake();
                }
            }
            Err(error) => {
                tracing::warn!("sockets: {error}: {:?}", std::error::Error::source(&error));
                active.interrupt.demand_reset();
                self.reset();
            }
        }
    }
}

impl Active {
    fn serve(&mut self, muxer: &mut Muxer) -> Result<Served, BrokenQueue> {
        // One each: neither direction waits for the other.
        let (mut to_receive, mut to_send) = (Allowance::default(), Allowance::default());
        let (mut received, mut sent) = (false, false);
        let unfinished = loop {
            received |= self.receive(muxer, &mut to_receive)?;
            let full = !muxer.can_receive();
            sent |= self.send(muxer, &mut to_send)?;
            let unfinished = to_receive.is_used_up() || to_send.is_used_up();
            // What was left because of answers that could not be sent is taken once they are.
            if unfinished || !(full && muxer.can_receive()) {
                break unfinished;
            }
        };
        muxer.await_streams();
        // Both are asked: each forgets what it has told of.
        let received = received && self.from_guest.needs_interrupt()?;
        let sent = sent && self.to_guest.needs_interrupt()?;
        Ok(Served {
            wants_interrupt: received || sent,
            unfinished,
        })
    }

    /// Takes the guest's packets; whether there was one.
    fn receive(
        &mut self,
        muxer: &mut Muxer,
        allowance: &mut Allowance,
    ) -> Result<bool, BrokenQueue> {
        let mut used = false;
        loop {
            self.from_guest.disable_notification()?;
            while muxer.can_receive()
                && allowance.take()
                && self.from_guest.serve_next(|chain| take(chain, muxer))? == Step::Used
            {
                used = true;
            }
            if !muxer.can_receive()
                || allowance.is_used_up()
                || !self.from_guest.enable_notification()?
            {
                return Ok(used);
            }
        }
    }

    /// Fills the buffers that the guest offers; whether there was one.
    fn send(&mut self, muxer: &mut Muxer, allowance: &mut Allowance) -> Result<bool, BrokenQueue> {
        let mut used = false;
        loop {
            self.to_guest.disable_notification()?;
            while muxer.has_packet() && allowance.take() {
                match self.to_guest.serve_next(|chain| fill(chain, muxer))? {
                    Step::Used => used = true,
                    // The muxer knows better now.
                    Step::PutBack => (),
                    Step::Empty => break,
                }
            }
            // A notification of new buffers costs the guest something, so only a device that
            // waits for them asks for it.
            if !muxer.has_packet()
                || allowance.is_used_up()
                || !self.to_guest.enable_notification()?
            {
                return Ok(used);
            }
        }
    }
}

fn take(chain: Chain<'_>, muxer: &mut Muxer) -> Outcome {
    match Received::parse(chain) {
        Ok(packet) => muxer.receive(packet),
        Err(error) => tracing::debug!("sockets: {error}"),
    }
    Outcome::Used(0)
}

fn fill(chain: Chain<'_>, muxer: &mut Muxer) -> Outcome {
    match Empty::parse(chain) {
        Ok(buffer) => muxer.fill(&buffer),
        Err(error) => {
            tracing::debug!("sockets: {error}");
            Outcome::Used(0)
        }
    }
}

impl VirtioDevice for Vsock {
    fn device_id(&self) -> u32 {
        VIRTIO_ID_VSOCK
    }

    fn features(&self) -> u64 {
        // Without one of the device's own there are streams and nothing else (section 5.10.3).
        0
    }

    fn config(&self) -> &[u8] {
        &self.config
    }

    fn queues(&self) -> &[QueueSlot] {
        &self.slots
    }

    fn activate(
        &mut self,
        queues: Vec<DeviceQueue>,
        interrupt: Interrupt,
    ) -> Result<(), WrongQueueCount> {
        let [to_guest, from_guest, events] =
            <[_; QUEUES]>::try_from(queues).map_err(|all| WrongQueueCount(all.len()))?;
        self.active = Some(Active {
            to_guest,
            from_guest,
            events,
            interrupt,
        });
        Ok(())
    }

    fn served_queues(&self) -> Option<Vec<&DeviceQueue>> {
        let active = self.active.as_ref()?;
        Some(vec![&active.to_guest, &active.from_guest, &active.events])
    }

    fn reset(&mut self) {
        self.active = None;
        self.muxer.reset();
    }
}

#[cfg(test)]
mod tests;
