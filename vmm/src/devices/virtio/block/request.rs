use std::str::FromStr;

use virtio_bindings::virtio_blk::{
    VIRTIO_BLK_ID_BYTES, VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_UNSUPP,
    VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_IN,
    VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_WRITE_ZEROES,
};

use super::image::{Access, DiskError, Image};
use super::ranges::{Erasure, RangesError};
use crate::devices::virtio::{Buffers, Chain, ChainError, Readable, TooShort, Writable};

/// Longest serial number of a disk, in bytes.
pub const ID_BYTES: usize = VIRTIO_BLK_ID_BYTES as usize;

/// Size of a request's header: type, 32 bits; reserved, 32 bits; sector, 64 bits (section 5.2.6).
const HEADER_BYTES: usize = 16;

/// A disk's serial number, padded with NUL bytes, as a driver reads it. By default, none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Id([u8; ID_BYTES]);

/// A serial number that is too long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is longer than {ID_BYTES} bytes")]
pub struct InvalidId(String);

impl FromStr for Id {
    type Err = InvalidId;

    fn from_str(id: &str) -> Result<Self, InvalidId> {
        let mut bytes = [0; ID_BYTES];
        bytes
            .get_mut(..id.len())
            .ok_or_else(|| InvalidId(id.to_owned()))?
            .copy_from_slice(id.as_bytes());
        Ok(Self(bytes))
    }
}

/// When a write is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Caching {
    /// When it would outlast a power failure: the driver never flushes (section 5.2.6.2).
    #[default]
    WriteThrough,
    /// When others see it; the driver flushes where it wants more.
    WriteBack,
}

/// A chain that leaves no room for an answer.
#[derive(Debug, thiserror::Error)]
enum Unanswerable {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error("a request has no room for its status")]
    NoStatus(#[from] TooShort),
}

/// A request that is not fulfilled.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("a request has no header, or no room for what it asks for")]
    TooShort(#[from] TooShort),
    #[error("{0:?} is not offered")]
    NotOffered(Wish),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Ranges(#[from] RangesError),
}

impl Refusal {
    fn status(&self) -> u32 {
        let unsupported = match self {
            Self::NotOffered(_) | Self::Ranges(RangesError::Flags(_)) => true,
            Self::Disk(DiskError::Io(error))
            | Self::Ranges(RangesError::Disk(DiskError::Io(error))) => {
                error.raw_os_error() == Some(libc::EOPNOTSUPP)
            }
            Self::TooShort(_) | Self::Disk(_) | Self::Ranges(_) => false,
        };
        match unsupported {
            true => VIRTIO_BLK_S_UNSUPP,
            false => VIRTIO_BLK_S_IOERR,
        }
    }

    /// Whether it is the host's doing, and not the driver's.
    fn is_the_hosts(&self) -> bool {
        matches!(
            self,
            Self::Disk(DiskError::Io(_)) | Self::Ranges(RangesError::Disk(DiskError::Io(_)))
        )
    }
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// Read from this sector on.
    Read { sector: u64 },
    /// Write from this sector on.
    Write { sector: u64 },
    /// Make what was written durable.
    Flush,
    /// The serial number.
    GetId,
    /// Forget what the ranges hold that follow.
    Erase(Erasure),
    /// Something that was not offered.
    Unknown(u32),
}

impl Wish {
    fn parse(header: [u8; HEADER_BYTES]) -> Self {
        let [t0, t1, t2, t3, _, _, _, _, sector @ ..] = header;
        let sector = u64::from_le_bytes(sector);
        match u32::from_le_bytes([t0, t1, t2, t3]) {
            VIRTIO_BLK_T_IN => Self::Read { sector },
            VIRTIO_BLK_T_OUT => Self::Write { sector },
            VIRTIO_BLK_T_FLUSH => Self::Flush,
            VIRTIO_BLK_T_GET_ID => Self::GetId,
            VIRTIO_BLK_T_DISCARD => Self::Erase(Erasure::Discard),
            VIRTIO_BLK_T_WRITE_ZEROES => Self::Erase(Erasure::WriteZeroes),
            other => Self::Unknown(other),
        }
    }
}

/// A request, taken apart.
struct Request<'m> {
    wish: Result<Wish, TooShort>,
    /// What follows the header.
    given: Readable<'m>,
    wanted: Writable<'m>,
    status: Writable<'m>,
}

impl<'m> Request<'m> {
    fn parse(chain: Chain<'m>) -> Result<Self, Unanswerable> {
        let Buffers { readable, writable } = chain.buffers()?;
        // The status is the last byte, wherever the driver has cut its buffers.
        let data_bytes = writable.bytes().checked_sub(1).ok_or(TooShort)?;
        let (wanted, status) = writable.split_at(data_bytes)?;
        let mut header = [0; HEADER_BYTES];
        let wish = readable.copy_to(&mut header).map(|()| Wish::parse(header));
        let header_bytes = readable.bytes().min(HEADER_BYTES as u32);
        let (_, given) = readable.split_at(header_bytes)?;
        Ok(Self {
            wish,
            given,
            wanted,
            status,
        })
    }

    /// Does what is wished for: how many bytes from its start on the buffer holds.
    fn fulfil(&self, image: &Image, id: &Id, caching: Caching) -> Result<u32, Refusal> {
        let written = match self.wish? {
            Wish::Read { sector } => {
                image.read(sector, self.wanted.clone())?;
                return Ok(self.wanted.bytes());
            }
            Wish::GetId => {
                self.wanted.copy_from(&id.0)?;
                return Ok(ID_BYTES as u32);
            }
            Wish::Write { sector } => Ok(image.write(sector, self.given.clone())?),
            wish @ Wish::Erase(_) if image.access() == Access::ReadOnly => {
                Err(Refusal::NotOffered(wish))
            }
            Wish::Erase(erasure) => Ok(erasure.carry_out(&self.given, image)?),
            Wish::Flush => {
                image.flush().map_err(DiskError::from)?;
                return Ok(0);
            }
            wish @ Wish::Unknown(_) => Err(Refusal::NotOffered(wish)),
        };
        written?;
        if caching == Caching::WriteThrough {
            image.flush().map_err(DiskError::from)?;
        }
        Ok(0)
    }
}

/// Answers the request in `chain`; how many bytes of the chain were written, from its first
/// writable one on without a gap.
pub(super) fn answer(chain: Chain<'_>, image: &Image, id: &Id, caching: Caching) -> u32 {
    let answered = Request::parse(chain).and_then(|request| {
        let (status, written) = match request.fulfil(image, id, caching) {
            Ok(written) => (VIRTIO_BLK_S_OK, written),
            Err(refusal) => {
                let cause = std::error::Error::source(&refusal);
                match refusal.is_the_hosts() {
                    true => tracing::warn!("disk: {refusal}: {cause:?}"),
                    false => tracing::debug!("disk: {refusal}"),
                }
                (refusal.status(), 0)
            }
        };
        request.status.copy_from(&[status as u8])?;
        // The status counts only where no unwritten data lies before it.
        Ok(written + u32::from(written == request.wanted.bytes()))
    });
    answered.unwrap_or_else(|error| {
        tracing::debug!("disk: {error}");
        0
    })
}
