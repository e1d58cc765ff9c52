use std::str::FromStr;

use virtio_bindings::virtio_blk::{
    VIRTIO_BLK_ID_BYTES, VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_UNSUPP,
    VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT,
};

use super::image::Image;
use crate::devices::virtio::{Buffers, Chain, ChainError, TooShort, Writable};

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

/// A chain that leaves no room for an answer.
#[derive(Debug, thiserror::Error)]
enum Unanswerable {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error("a request has no room for its status")]
    NoStatus(#[from] TooShort),
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Read from this sector on.
    Read { sector: u64 },
    /// Write, which no one can here.
    Write,
    /// Make what was written durable, which all of nothing is.
    Flush,
    /// The serial number.
    GetId,
    /// Something that was not offered.
    Unknown(u32),
}

impl Wish {
    fn parse(header: [u8; HEADER_BYTES]) -> Self {
        let [t0, t1, t2, t3, _, _, _, _, sector @ ..] = header;
        match u32::from_le_bytes([t0, t1, t2, t3]) {
            VIRTIO_BLK_T_IN => Self::Read {
                sector: u64::from_le_bytes(sector),
            },
            VIRTIO_BLK_T_OUT => Self::Write,
            VIRTIO_BLK_T_FLUSH => Self::Flush,
            VIRTIO_BLK_T_GET_ID => Self::GetId,
            other => Self::Unknown(other),
        }
    }
}

/// A request, taken apart.
struct Request<'m> {
    wish: Result<Wish, TooShort>,
    data: Writable<'m>,
    status: Writable<'m>,
}

impl<'m> Request<'m> {
    fn parse(chain: Chain<'m>) -> Result<Self, Unanswerable> {
        let Buffers { readable, writable } = chain.buffers()?;
        // The status is the last byte, wherever the driver has cut its buffers.
        let data_bytes = writable.bytes().checked_sub(1).ok_or(TooShort)?;
        let (data, status) = writable.split_at(data_bytes)?;
        let mut header = [0; HEADER_BYTES];
        Ok(Self {
            wish: readable.copy_to(&mut header).map(|()| Wish::parse(header)),
            data,
            status,
        })
    }

    /// Does what is wished for: the status, and how many bytes from its start on the data holds.
    fn fulfil(&self, image: &Image, id: &Id) -> (u32, u32) {
        match self.wish {
            Ok(Wish::Read { sector }) => match image.read(sector, self.data.clone()) {
                Ok(()) => (VIRTIO_BLK_S_OK, self.data.bytes()),
                Err(error) => {
                    tracing::warn!("disk: {error}: {:?}", std::error::Error::source(&error));
                    (VIRTIO_BLK_S_IOERR, 0)
                }
            },
            Ok(Wish::GetId) => match self.data.copy_from(&id.0) {
                Ok(()) => (VIRTIO_BLK_S_OK, ID_BYTES as u32),
                Err(TooShort) => (VIRTIO_BLK_S_IOERR, 0),
            },
            Ok(Wish::Flush) => (VIRTIO_BLK_S_OK, 0),
            // What section 5.2.6.2 asks for where VIRTIO_BLK_F_RO was offered.
            Ok(Wish::Write) | Err(TooShort) => (VIRTIO_BLK_S_IOERR, 0),
            Ok(Wish::Unknown(wish)) => {
                tracing::debug!("disk: request of type {wish}");
                (VIRTIO_BLK_S_UNSUPP, 0)
            }
        }
    }
}

/// Answers the request in `chain`; how many bytes of the chain were written, from its first
/// writable one on without a gap.
pub(super) fn answer(chain: Chain<'_>, image: &Image, id: &Id) -> u32 {
    let answered = Request::parse(chain).and_then(|request| {
        let (status, written) = request.fulfil(image, id);
        request.status.copy_from(&[status as u8])?;
        // The status counts only where no unwritten data lies before it.
        Ok(written + u32::from(written == request.data.bytes()))
    });
    answered.unwrap_or_else(|error| {
        tracing::debug!("disk: {error}");
        0
    })
}
