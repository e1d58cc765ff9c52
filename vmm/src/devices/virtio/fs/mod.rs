//! Files and directories of the host's for a guest: a file system (virtio 1.2, section 5.11) that
//! speaks FUSE.
//!
//! One device serves all shares of a machine: its root has them as `0`, `1` and so on, and the
//! guest mounts it once. So a machine that is saved before anything is shared has the device
//! already.
//!
//! Who opens a file or looks at one by its name sees what the host has at that moment: no name is
//! kept, so each is asked for again, and the answer brings the attributes along. With them the
//! guest's kernel drops the data that it keeps of a file whose size or time of change is another,
//! and it drops all of it when the file is opened again: writes through a mapping change no time
//! at once. Writes go through. Only for [`ATTRIBUTES_VALID`] are attributes taken for granted, so
//! that who has a file open and reads on asks for them once in that time, and not with each call;
//! what the host changes shows there as much later. Names in a directory that many files were
//! looked up in are all asked for again; that is the price. Locks are the guest's own.
//!
//! `wire` is the protocol, `request` reads what comes, `exchange` brings requests to the `server`
//! and answers back, and that does what is asked for. `event_handler` is how the device is woken,
//! `state` what is saved of it.

mod event_handler;
mod exchange;
mod handles;
mod inode_numbers;
mod limits;
mod name;
mod nodes;
mod owners;
mod request;
mod server;
mod share;
mod state;
mod wire;

use std::io;
use std::time::Duration;

use virtio_bindings::virtio_ids::VIRTIO_ID_FS;

use super::{
    Allowance, BrokenQueue, DeviceQueue, Interrupt, Outcome, QueueSlot, Served, Slots, Step,
    Stopped, VirtioDevice, WrongQueueCount,
};
use crate::jail::{Jail, JailError};
pub use limits::Limits;
use server::Server;
pub use share::{Share, ShareError};

/// The queues: one for what is not to wait, which is to forget nodes, and one for all else
/// (section 5.11.2).
const QUEUES: usize = 2;
/// Room for a request of [`MAX_PAGES`].
const QUEUE_SIZE: u16 = 256;
/// Descriptors that Linux uses for a request, its data aside (`FUSE_HEADER_OVERHEAD` in
/// `fs/fuse/virtio_fs.c`).
const HEADER_DESCRIPTORS: u16 = 4;
/// Most pages that are read or written at once.
const MAX_PAGES: u16 = QUEUE_SIZE - HEADER_DESCRIPTORS;

/// How long the guest takes attributes for granted that it was told: what virtiofsd's
/// `--cache=auto` does.
const ATTRIBUTES_VALID: Duration = Duration::from_secs(1);

/// Longest tag, in bytes (section 5.11.4).
const TAG_BYTES: usize = 36;
/// The device configuration: the tag, and the number of request queues, 32 bits.
const CONFIG_BYTES: usize = TAG_BYTES + 4;

/// A device that shares files of the host's.
pub struct Fs {
    server: Server,
    /// What requests are read into.
    request: Vec<u8>,
    config: [u8; CONFIG_BYTES],
    slots: Slots<QUEUES>,
}

impl Fs {
    /// A device with this tag, by which the guest mounts it, and these shares, called by their
    /// places in the list. `limits` are those of the process.
    ///
    /// # Errors
    ///
    /// When there are no more descriptors, or the tag is too long.
    pub fn new(tag: &str, shares: Vec<Share>, limits: Limits) -> io::Result<Self> {
        let mut config = [0; CONFIG_BYTES];
        config
            .get_mut(..TAG_BYTES)
            .and_then(|room| room.get_mut(..tag.len()))
            .ok_or(io::ErrorKind::InvalidInput)?
            .copy_from_slice(tag.as_bytes());
        config[TAG_BYTES..].copy_from_slice(&(QUEUES as u32 - 1).to_le_bytes());
        Ok(Self {
            server: Server::new(shares, limits)?,
            request: Vec::new(),
            config,
            slots: Slots::new(QUEUE_SIZE)?,
        })
    }

    /// Takes the shares into a jail. To be called before the guest runs.
    ///
    /// # Errors
    ///
    /// When one of them can't be taken along.
    pub(crate) fn move_into(&mut self, jail: &Jail) -> Result<(), JailError> {
        self.server.move_into(jail)
    }

    /// Serves all that the driver asks for.
    fn serve(&mut self) {
        let (server, request) = (&mut self.server, &mut self.request);
        let served = self.slots.serve("shares", |_, queue, interrupt| {
            serve(queue, interrupt, server, request)
        });
        if served == Err(Stopped) {
            self.reset();
        }
    }
}

/// Serves what is in a queue, and interrupts the driver where it wants that: for each request,
/// since the next one may take long.
fn serve(
    queue: &mut DeviceQueue,
    interrupt: &Interrupt,
    server: &mut Server,
    request: &mut Vec<u8>,
) -> Result<Served, BrokenQueue> {
    let mut allowance = Allowance::default();
    loop {
        queue.disable_notification()?;
        while allowance.take()
            && queue.serve_next(|chain| Outcome::Used(exchange::answer(chain, server, request)))?
                == Step::Used
        {
            if queue.needs_interrupt()? {
                interrupt.signal_used();
            }
        }
        let unfinished = allowance.is_used_up();
        if unfinished || !queue.enable_notification()? {
            return Ok(Served {
                wants_interrupt: false,
                unfinished,
            });
        }
    }
}

impl VirtioDevice for Fs {
    fn device_id(&self) -> u32 {
        VIRTIO_ID_FS
    }

    fn features(&self) -> u64 {
        0
    }

    fn config(&self) -> &[u8] {
        &self.config
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
        self.server.reset();
    }
}

#[cfg(test)]
mod tests;
