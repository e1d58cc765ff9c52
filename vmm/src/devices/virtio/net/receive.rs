use virtio_bindings::virtio_net::{VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_MRG_RXBUF};

use super::header::{HEADER_BYTES, Header};
use super::rate::{self, Bucket};
use super::tap::{MAX_FRAME_BYTES, Tap};
use super::{FRAMES_AT_ONCE, Turn};
use crate::devices::virtio::{BrokenQueue, DeviceQueue, Filling};

/// The direction from the host to the guest.
pub(super) struct Receiver {
    pub(super) queue: DeviceQueue,
    /// Most chains that a frame may be spread over.
    max_chains: u16,
    understands_flags: bool,
    /// A frame, with its header.
    frame: Box<[u8]>,
    /// How long the frame is that waits for room in the queue, if one does.
    waiting: Option<usize>,
}

impl Receiver {
    pub(super) fn new(queue: DeviceQueue, features: u64) -> Self {
        let chosen = |feature: u32| features & 1 << feature != 0;
        Self {
            max_chains: match chosen(VIRTIO_NET_F_MRG_RXBUF) {
                true => queue.size(),
                false => 1,
            },
            understands_flags: chosen(VIRTIO_NET_F_GUEST_CSUM),
            queue,
            frame: vec![0; HEADER_BYTES + MAX_FRAME_BYTES].into(),
            waiting: None,
        }
    }

    /// Fills the buffers that the guest offers.
    pub(super) fn serve(
        &mut self,
        tap: &Tap,
        mut limit: Option<&mut Bucket>,
    ) -> Result<Turn, BrokenQueue> {
        let mut used = false;
        let turn = |used, unfinished, wait| Turn {
            used,
            unfinished,
            wait,
        };
        self.queue.disable_notification()?;
        for _ in 0..FRAMES_AT_ONCE {
            // The host's kernel keeps what comes meanwhile, and drops what is too much.
            if let Some(wait) = rate::wait(&mut limit) {
                return Ok(turn(used, false, Some(wait)));
            }
            let Some(length) = self.waiting.take().or_else(|| tap.receive(&mut self.frame)) else {
                return Ok(turn(used, false, None));
            };
            match self.fill(length)? {
                Filling::Filled => {
                    used = true;
                    if let Some(limit) = &mut limit {
                        // At most `MAX_FRAME_BYTES`.
                        limit.take((length - HEADER_BYTES) as u32);
                    }
                }
                Filling::TooLong => {
                    tracing::debug!("network: no room will do for {length} bytes");
                }
                Filling::NoRoom { chains } => {
                    self.waiting = Some(length);
                    // A notification of new buffers costs the guest something, so only a device
                    // that waits for them asks for it.
                    if !self.queue.enable_notification_behind(chains)? {
                        return Ok(turn(used, false, None));
                    }
                    self.queue.disable_notification()?;
                }
            }
        }
        Ok(turn(used, true, None))
    }

    /// Gives the guest the first `length` bytes of what was received.
    fn fill(&mut self, length: usize) -> Result<Filling, BrokenQueue> {
        let (header, frame) = self.frame[..length].split_at(HEADER_BYTES);
        let mut header = Header(header.try_into().unwrap_or_default());
        if !self.understands_flags {
            header = header.without_flags();
        }
        // Never more than the buffer holds, so it fits.
        self.queue
            .fill_next(length as u32, self.max_chains, |room, chains| {
                let bytes = [&header.over(chains).0, frame].concat();
                // The room is of this size.
                if let Err(error) = room.copy_from(&bytes) {
                    tracing::error!("network: {error}");
                }
            })
    }
}
