//! A disk (virtio 1.2, section 5.2), or the place for one.
//!
//! `image` is what it holds, `config` what a driver reads of it, `request` what a driver asks of it,
//! `ranges` what it asks to be erased, `event_handler` how it is woken, `state` what is saved of it.
//!
//! A place with nothing in it shows no device at all, so that a machine that was saved before it
//! was known what it runs can be given one: its guest then has the place probed again.

mod config;
mod event_handler;
mod image;
mod ranges;
mod request;
mod state;

use std::fs::File;
use std::os::fd::AsRawFd;

use virtio_bindings::virtio_blk::{
    VIRTIO_BLK_F_BLK_SIZE, VIRTIO_BLK_F_DISCARD, VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_RO,
    VIRTIO_BLK_F_SEG_MAX, VIRTIO_BLK_F_WRITE_ZEROES,
};
use virtio_bindings::virtio_ids::VIRTIO_ID_BLOCK;

use super::{DeviceQueue, Interrupt, QueueSlot, Slots, VirtioDevice, WrongQueueCount};
use config::Config;
use image::Image;
pub use image::{Access, ImageError, SECTOR_BYTES};
use request::Caching;
pub use request::{ID_BYTES, Id, InvalidId};

/// Room for two of the largest requests. A driver without indirect descriptors, as here, may
/// have half of it in flight.
const QUEUE_SIZE: u16 = 256;

/// Most segments of a request: with header and status a request takes half of the queue. With
/// pages of 4 KiB this is half a megabyte at once.
const MAX_SEGMENTS: u32 = QUEUE_SIZE as u32 / 2 - 2;

/// What a disk offers, whatever it holds.
const FEATURES: u64 = 1 << VIRTIO_BLK_F_SEG_MAX | 1 << VIRTIO_BLK_F_BLK_SIZE;

/// What one offers besides that can be written.
const WRITING: u64 =
    1 << VIRTIO_BLK_F_FLUSH | 1 << VIRTIO_BLK_F_DISCARD | 1 << VIRTIO_BLK_F_WRITE_ZEROES;

/// A disk, or an empty place for one.
pub struct Block {
    image: Option<Image>,
    id: Id,
    config: Config,
    caching: Caching,
    slots: Slots<1>,
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
    /// A disk that holds what `image` does, a file or a block device, which must not become
    /// shorter, under the serial number `id`.
    ///
    /// # Errors
    ///
    /// When the image's size can't be found out, or there are no more descriptors.
    pub fn new(image: File, access: Access, id: Id) -> Result<Self, BlockError> {
        let block_bytes = block_bytes(&image);
        let image = Image::new(image, access)?;
        Ok(Self {
            config: config::of(image.sectors(), MAX_SEGMENTS, block_bytes),
            image: Some(image),
            id,
            ..Self::vacant()?
        })
    }

    /// A place for a disk.
    ///
    /// # Errors
    ///
    /// When there are no more descriptors.
    pub fn vacant() -> Result<Self, BlockError> {
        Ok(Self {
            image: None,
            id: Id::default(),
            config: config::NONE,
            caching: Caching::default(),
            slots: Slots::new(QUEUE_SIZE).map_err(BlockError::Descriptor)?,
        })
    }

    /// Its size, in whole sectors of [`SECTOR_BYTES`].
    pub fn sectors(&self) -> u64 {
        self.image.as_ref().map_or(0, Image::sectors)
    }

    /// Serves all that the driver asks for, and interrupts it once, if it wants that.
    fn serve(&mut self) {
        let Some(image) = &self.image else {
            return;
        };
        let (id, caching) = (&self.id, self.caching);
        // A queue that was broken is the driver's affair.
        let _ = self.slots.serve("disk", |_, queue, _| {
            queue.serve_all(|chain| request::answer(chain, image, id, caching))
        });
    }
}

/// The unit in which a block device is read and written; that of a file is a sector.
fn block_bytes(image: &File) -> u32 {
    let mut bytes: libc::c_int = 0;
    // SAFETY: BLKSSZGET writes an int, which lives through the call; the descriptor is open.
    let result = unsafe { libc::ioctl(image.as_raw_fd(), libc::BLKSSZGET as _, &raw mut bytes) };
    match u32::try_from(bytes) {
        Ok(bytes) if result == 0 && bytes.is_power_of_two() => bytes.max(SECTOR_BYTES as u32),
        _ => SECTOR_BYTES as u32,
    }
}

impl VirtioDevice for Block {
    fn device_id(&self) -> u32 {
        match self.image {
            Some(_) => VIRTIO_ID_BLOCK,
            None => 0,
        }
    }

    fn features(&self) -> u64 {
        match self.image.as_ref().map(Image::access) {
            Some(Access::ReadWrite) => FEATURES | WRITING,
            _ => FEATURES | 1 << VIRTIO_BLK_F_RO,
        }
    }

    fn config(&self) -> &[u8] {
        &self.config
    }

    fn queues(&self) -> &[QueueSlot] {
        self.slots.offered()
    }

    fn negotiated(&mut self, features: u64) {
        self.caching = match features & 1 << VIRTIO_BLK_F_FLUSH {
            0 => Caching::WriteThrough,
            _ => Caching::WriteBack,
        };
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
        self.caching = Caching::default();
        self.slots.reset();
    }
}

#[cfg(test)]
mod tests;
