use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::AsRawFd;

use serde::{Deserialize, Serialize};

use crate::devices::virtio::{Readable, Writable};

/// What a disk counts in, whatever its blocks are (virtio 1.2, section 5.2.4).
pub const SECTOR_BYTES: u64 = 512;

/// The image of a disk can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the size of the disk image can't be found out")]
pub struct ImageError(#[source] io::Error);

/// Whether what a disk holds may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// No.
    ReadOnly,
    /// Yes.
    ReadWrite,
}

/// Why something is not done with a disk.
#[derive(Debug, thiserror::Error)]
pub(super) enum DiskError {
    /// The buffer is no whole number of sectors.
    #[error("{0} bytes are no whole number of sectors")]
    PartOfSector(u32),
    /// Some of it is behind the end of the disk.
    #[error("sector {sector} and the {sectors} sectors from it on are not all on the disk")]
    PastEnd { sector: u64, sectors: u64 },
    /// It can't be written.
    #[error("the disk is read-only")]
    ReadOnly,
    /// The file gave an error.
    #[error("the disk image can't be used")]
    Io(#[from] io::Error),
}

/// What a disk holds: a file, and as many zeros behind it as make the last sector whole.
pub(super) struct Image {
    file: File,
    file_bytes: u64,
    access: Access,
}

/// Sectors of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    offset: u64,
    bytes: u64,
}

impl Image {
    pub(super) fn new(mut file: File, access: Access) -> Result<Self, ImageError> {
        // Not the metadata's length, which is 0 for a block device.
        let file_bytes = file.seek(SeekFrom::End(0)).map_err(ImageError)?;
        Ok(Self {
            file,
            file_bytes,
            access,
        })
    }

    pub(super) fn access(&self) -> Access {
        self.access
    }

    pub(super) fn sectors(&self) -> u64 {
        match self.access {
            Access::ReadOnly => self.file_bytes.div_ceil(SECTOR_BYTES),
            // There is no room for what would be written to a part of a sector.
            Access::ReadWrite => self.file_bytes / SECTOR_BYTES,
        }
    }

    /// These sectors, if the disk has all of them.
    pub(super) fn range(&self, sector: u64, sectors: u64) -> Result<Range, DiskError> {
        let end = sector.checked_add(sectors);
        if end.is_none_or(|end| end > self.sectors()) {
            return Err(DiskError::PastEnd { sector, sectors });
        }
        // On the disk, so it does not overflow.
        Ok(Range {
            offset: sector * SECTOR_BYTES,
            bytes: sectors * SECTOR_BYTES,
        })
    }

    /// Those from `sector` on that a buffer of so many bytes is for.
    fn range_of_bytes(&self, sector: u64, bytes: u32) -> Result<Range, DiskError> {
        match u64::from(bytes) % SECTOR_BYTES {
            0 => self.range(sector, u64::from(bytes) / SECTOR_BYTES),
            _ => Err(DiskError::PartOfSector(bytes)),
        }
    }

    /// Fills `buffer` with what is at `sector` and behind it. On an error it may be filled in
    /// part.
    pub(super) fn read(&self, sector: u64, buffer: Writable<'_>) -> Result<(), DiskError> {
        let Range { offset, bytes } = self.range_of_bytes(sector, buffer.bytes())?;
        // At most a part of the last sector is not in the file.
        let in_file = bytes.min(self.file_bytes - offset.min(self.file_bytes));
        let (data, padding) = buffer.split_at(in_file as u32).map_err(io::Error::other)?;
        data.fill_from(&self.file, offset)?;
        let zeros = [0; SECTOR_BYTES as usize];
        padding
            .copy_from(&zeros[..padding.bytes() as usize])
            .map_err(io::Error::from)?;
        Ok(())
    }

    /// Writes `data` to `sector` and behind it. On an error it may be written in part.
    pub(super) fn write(&self, sector: u64, data: Readable<'_>) -> Result<(), DiskError> {
        let Range { offset, .. } = self.range_of_bytes(sector, data.bytes())?;
        self.check_writable()?;
        Ok(data.write_all_to(&self.file, offset)?)
    }

    /// Returns when all that was written is where it outlasts a power failure.
    pub(super) fn flush(&self) -> io::Result<()> {
        match self.access {
            Access::ReadOnly => Ok(()),
            Access::ReadWrite => self.file.sync_data(),
        }
    }

    /// Gives up what the sectors hold: they are zero then, and take no room if that is possible.
    pub(super) fn discard(&self, range: Range) -> Result<(), DiskError> {
        self.allocate(libc::FALLOC_FL_PUNCH_HOLE, range)
    }

    /// Makes the sectors zero, and keeps their room.
    pub(super) fn zero(&self, range: Range) -> Result<(), DiskError> {
        self.allocate(libc::FALLOC_FL_ZERO_RANGE, range)
    }

    fn allocate(&self, how: libc::c_int, range: Range) -> Result<(), DiskError> {
        self.check_writable()?;
        if range.bytes == 0 {
            return Ok(());
        }
        let number = |n| libc::off_t::try_from(n).map_err(io::Error::other);
        let (offset, bytes) = (number(range.offset)?, number(range.bytes)?);
        let flags = how | libc::FALLOC_FL_KEEP_SIZE;
        loop {
            // SAFETY: fallocate takes numbers only; the descriptor is open.
            let result = unsafe { libc::fallocate(self.file.as_raw_fd(), flags, offset, bytes) };
            match io::Error::last_os_error() {
                _ if result == 0 => return Ok(()),
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error.into()),
            }
        }
    }

    fn check_writable(&self) -> Result<(), DiskError> {
        match self.access {
            Access::ReadOnly => Err(DiskError::ReadOnly),
            Access::ReadWrite => Ok(()),
        }
    }
}
