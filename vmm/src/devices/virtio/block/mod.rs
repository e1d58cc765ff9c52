//! A read-only disk (virtio 1.2, section 5.2).
//!
//! `image` is what it holds, `request` what a driver asks of it, `event_handler` how it is
//! woken, `state` what is saved of it.

mod event_handler;
mod image;
mod request;
mod state;

use std::fs::File;

use virtio_bindings::virtio_blk::{VIRTIO_BLK_F_RO, VIRTIO_BLK_F_SEG_MAX};
use virtio_bindings::virtio_ids::VIRTIO_ID_BLOCK;

use super::{DeviceQueue, Interrupt, QueueSlot, VirtioDevice, WrongQueueCount};
use image::Image;
pub use image::{ImageError, SECTOR_BYTES};
pub use request::{ID_BYTES, Id, InvalidId};

/// Room for two of the largest requests. A driver without indirect descriptors, as here, may
/// have half of it in flight.
const QUEUE_SIZE: u16 = 256;

/// Most segments of a request: with header and status a request takes half of the queue. With
/// pages of 4 KiB this is half a megabyte at once.
const MAX_SEGMENTS: u32 = QUEUE_SIZE as u32 / 2 - 2;

/// The device configuration up to the last field that we have (section 5.2.4): `capacity`, 64
/// bits, in sectors; `size_max`, 32 bits, not offered; `seg_max`, 32 bits.
const CONFIG_BYTES: usize = 16;

/// A disk that shows an image and can't be written.
pub struct Block {
    image: Image,
    id: Id,
    config: [u8; CONFIG_BYTES],
    slots: [QueueSlot; 1],
    active: Option<Active>,
}

/// What the device has while a driver uses it.
struct Active {
    queue: DeviceQueue,
    interrupt: Interrupt,
}

/// A disk can't be made.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The image is unusable.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// There are no more descriptors.
    #[error("a disk can't be made")]
    Descriptor(#[source] std::io::Error),
}

impl Block {
    /// A disk that shows `image`, which must not become shorter, under the serial number `id`.
    ///
    /// # Errors
    ///
    /// When the image's size can't be found out, or there are no more descriptors.
    pub fn new(image: File, id: Id) -> Result<Self, BlockError> {
        let image = Image::new(image)?;
        let mut config = [0; CONFIG_BYTES];
        config[..8].copy_from_slice(&image.sectors().to_le_bytes());
        config[12..].copy_from_slice(&MAX_SEGMENTS.to_le_bytes());
        Ok(Self {
            image,
            id,
            config,
            slots: [QueueSlot::new(QUEUE_SIZE).map_err(BlockError::Descriptor)?],
            active: None,
        })
    }

    /// Size of the image, in whole sectors of [`SECTOR_BYTES`].
    pub fn sectors(&self) -> u64 {
        self.image.sectors()
    }

    /// Serves all that the driver asks for, and interrupts it once, if it wants that.
    fn serve(&mut self) {
        let Some(active) = &mut self.active else {
            return;
        };
        let (image, id) = (&self.image, &self.id);
        match active
            .queue
            .serve_all(|chain| request::answer(chain, image, id))
        {
            Ok(true) => active.interrupt.signal_used(),
            Ok(false) => (),
            Err(error) => {
                tracing::warn!("disk: {error}: {:?}", std::error::Error::source(&error));
                active.interrupt.demand_reset();
                self.active = None;
            }
        }
    }
}

impl VirtioDevice for Block {
    fn device_id(&self) -> u32 {
        VIRTIO_ID_BLOCK
    }

    fn features(&self) -> u64 {
        1 << VIRTIO_BLK_F_RO | 1 << VIRTIO_BLK_F_SEG_MAX
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
