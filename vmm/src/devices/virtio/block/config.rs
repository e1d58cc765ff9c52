//! What the driver reads of a disk (virtio 1.2, section 5.2.4).

use super::image::SECTOR_BYTES;
use super::ranges::{MAX_RANGES, MAX_SECTORS};

/// The device configuration up to the last field that we have.
pub(super) type Config = [u8; 60];

/// That of a place without a disk.
pub(super) const NONE: Config = [0; 60];

/// Where a field begins. Those that are not here are not offered, and zero.
const CAPACITY: usize = 0;
const SEG_MAX: usize = 12;
const BLK_SIZE: usize = 20;
const MAX_DISCARD_SECTORS: usize = 36;
const MAX_DISCARD_SEG: usize = 40;
const DISCARD_SECTOR_ALIGNMENT: usize = 44;
const MAX_WRITE_ZEROES_SECTORS: usize = 48;
const MAX_WRITE_ZEROES_SEG: usize = 52;
const WRITE_ZEROES_MAY_UNMAP: usize = 56;

/// That of a disk of `sectors`, with blocks of `block_bytes`.
pub(super) fn of(sectors: u64, max_segments: u32, block_bytes: u32) -> Config {
    let mut config = NONE;
    config[CAPACITY..CAPACITY + 8].copy_from_slice(&sectors.to_le_bytes());
    for (field, value) in [
        (SEG_MAX, max_segments),
        (BLK_SIZE, block_bytes),
        (MAX_DISCARD_SECTORS, MAX_SECTORS),
        (MAX_DISCARD_SEG, MAX_RANGES),
        (DISCARD_SECTOR_ALIGNMENT, block_bytes / SECTOR_BYTES as u32),
        (MAX_WRITE_ZEROES_SECTORS, MAX_SECTORS),
        (MAX_WRITE_ZEROES_SEG, MAX_RANGES),
    ] {
        config[field..field + 4].copy_from_slice(&value.to_le_bytes());
    }
    config[WRITE_ZEROES_MAY_UNMAP] = 1;
    config
}
