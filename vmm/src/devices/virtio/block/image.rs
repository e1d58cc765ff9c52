use std::fs::File;
use std::io::{self, Seek, SeekFrom};

use crate::devices::virtio::Writable;

/// What a disk counts in, whatever its blocks are (virtio 1.2, section 5.2.4).
pub const SECTOR_BYTES: u64 = 512;

/// The image of a disk can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the size of the disk image can't be found out")]
pub struct ImageError(#[source] io::Error);

/// Why nothing is read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The buffer is no whole number of sectors.
    #[error("{0} bytes are no whole number of sectors")]
    PartOfSector(u32),
    /// Some of it is behind the end of the disk.
    #[error("sector {sector} and the {bytes} bytes from it on are not all on the disk")]
    PastEnd { sector: u64, bytes: u32 },
    /// The file gave an error.
    #[error("the disk image can't be read")]
    Io(#[from] io::Error),
}

/// What a disk holds: a file, and as many zeros behind it as make the last sector whole.
pub(super) struct Image {
    file: File,
    file_bytes: u64,
}

impl Image {
    pub(super) fn new(mut file: File) -> Result<Self, ImageError> {
        // Not the metadata's length, which is 0 for a block device.
        let file_bytes = file.seek(SeekFrom::End(0)).map_err(ImageError)?;
        Ok(Self { file, file_bytes })
    }

    pub(super) fn sectors(&self) -> u64 {
        self.file_bytes.div_ceil(SECTOR_BYTES)
    }

    /// Fills `buffer` with what is at `sector` and behind it. On an error it may be filled in
    /// part.
    pub(super) fn read(&self, sector: u64, buffer: Writable<'_>) -> Result<(), ReadError> {
        let bytes = buffer.bytes();
        if u64::from(bytes) % SECTOR_BYTES != 0 {
            return Err(ReadError::PartOfSector(bytes));
        }
        let end = sector.checked_add(u64::from(bytes) / SECTOR_BYTES);
        if end.is_none_or(|end| end > self.sectors()) {
            return Err(ReadError::PastEnd { sector, bytes });
        }
        // On the disk, so it does not overflow; at most a part of the last sector is not in the
        // file.
        let offset = sector * SECTOR_BYTES;
        let in_file = u64::from(bytes).min(self.file_bytes - offset.min(self.file_bytes));
        let (data, padding) = buffer.split_at(in_file as u32).map_err(io::Error::other)?;
        data.fill_from(&self.file, offset)?;
        let zeros = [0; SECTOR_BYTES as usize];
        padding
            .copy_from(&zeros[..padding.bytes() as usize])
            .map_err(io::Error::from)?;
        Ok(())
    }
}
