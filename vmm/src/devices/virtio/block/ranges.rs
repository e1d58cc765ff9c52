//! What discard and write-zeroes requests name: ranges of sectors (virtio 1.2, section 5.2.6).

use virtio_bindings::virtio_blk::VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;

use super::image::{DiskError, Image, Range};
use crate::devices::virtio::{Readable, TooShort};

/// Most ranges of a request.
pub(super) const MAX_RANGES: u32 = 16;

/// Most sectors of a range: 1 GiB.
pub(super) const MAX_SECTORS: u32 = 1 << 21;

/// Size of a range: sector, 64 bits; number of sectors and flags, 32 bits each.
const RANGE_BYTES: usize = 16;

/// Whether the ranges may be anything then, or are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Erasure {
    /// Nobody needs what they hold.
    Discard,
    /// They are to be zero.
    WriteZeroes,
}

/// Why ranges are not erased.
#[derive(Debug, thiserror::Error)]
pub(super) enum RangesError {
    /// They are no whole number, or more than are taken.
    #[error("{0} bytes are not from 1 to {MAX_RANGES} ranges")]
    Count(u32),
    /// A range is longer than any may be.
    #[error("a range of {0} sectors")]
    TooLong(u32),
    /// A range has flags that are not known, or not for such a request.
    #[error("a range with flags {0:#x}")]
    Flags(u32),
    /// They can't be read.
    #[error(transparent)]
    TooShort(#[from] TooShort),
    /// The disk does not take it.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// What is done with a range.
#[derive(Clone, Copy)]
enum Deed {
    Discard(Range),
    Zero(Range),
}

impl Erasure {
    /// Erases the ranges that `given` lists: none, if there is something wrong with one of them.
    pub(super) fn carry_out(self, given: &Readable<'_>, image: &Image) -> Result<(), RangesError> {
        let mut listed = [0; RANGE_BYTES * MAX_RANGES as usize];
        let bytes = given.bytes() as usize;
        if bytes == 0 || bytes > listed.len() || !bytes.is_multiple_of(RANGE_BYTES) {
            return Err(RangesError::Count(given.bytes()));
        }
        let listed = &mut listed[..bytes];
        given.copy_to(listed)?;
        let (listed, _) = listed.as_chunks();
        let deeds = listed.iter().map(|range| self.deed(range, image));
        for deed in deeds.collect::<Result<Vec<_>, _>>()? {
            match deed {
                Deed::Discard(range) => image.discard(range)?,
                Deed::Zero(range) => image.zero(range)?,
            }
        }
        Ok(())
    }

    fn deed(self, range: &[u8; RANGE_BYTES], image: &Image) -> Result<Deed, RangesError> {
        let [s0, s1, s2, s3, s4, s5, s6, s7, n0, n1, n2, n3, flags @ ..] = *range;
        let sector = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
        let sectors = u32::from_le_bytes([n0, n1, n2, n3]);
        let flags = u32::from_le_bytes(flags);
        let deed = match (self, flags) {
            (Self::Discard, 0) | (Self::WriteZeroes, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP) => {
                Deed::Discard
            }
            (Self::WriteZeroes, 0) => Deed::Zero,
            _ => return Err(RangesError::Flags(flags)),
        };
        if sectors > MAX_SECTORS {
            return Err(RangesError::TooLong(sectors));
        }
        Ok(deed(image.range(sector, sectors.into())?))
    }
}
