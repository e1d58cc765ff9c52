use crate::devices::virtio::{Buffers, Chain, ChainError, Readable, TooShort, Writable};

/// The context ID of the host (`VMADDR_CID_HOST`, `vsock(7)`).
pub const HOST_CID: u64 = 2;

/// Most data of a packet, in bytes: what Linux sends at once
/// (`VIRTIO_VSOCK_MAX_PKT_BUF_SIZE`, `include/linux/virtio_vsock.h`).
pub const MAX_DATA_BYTES: u32 = 64 << 10;

/// Packets of a stream, in contrast to those of messages (section 5.10.6).
pub(super) const TYPE_STREAM: u16 = 1;

/// In a [`Op::Shutdown`]: the sender receives no more (section 5.10.6.5).
pub(super) const SHUTDOWN_RECEIVE: u32 = 1;
/// In a [`Op::Shutdown`]: the sender sends no more.
pub(super) const SHUTDOWN_SEND: u32 = 2;

/// What a packet is for (section 5.10.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Op {
    /// Asks for a connection.
    Request = 1,
    /// Accepts it.
    Response = 2,
    /// Refuses or ends it.
    Reset = 3,
    /// Ends one direction or both.
    Shutdown = 4,
    /// Has data.
    Data = 5,
    /// Tells how much the sender can receive, as all packets of a connection do.
    CreditUpdate = 6,
    /// Asks for that.
    CreditRequest = 7,
}

impl Op {
    /// What a packet with this number is for; `None` if that means nothing.
    pub(super) fn of(number: u16) -> Option<Self> {
        [
            Self::Request,
            Self::Response,
            Self::Reset,
            Self::Shutdown,
            Self::Data,
            Self::CreditUpdate,
            Self::CreditRequest,
        ]
        .into_iter()
        .find(|op| *op as u16 == number)
    }
}

/// Size of a header, in bytes.
pub(super) const HEADER_BYTES: u32 = 44;

/// A packet's header, `struct virtio_vsock_hdr` (section 5.10.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub src_cid: u64,
    pub dst_cid: u64,
    pub src_port: u32,
    pub dst_port: u32,
    /// Bytes of data behind the header.
    pub bytes: u32,
    pub packet_type: u16,
    pub op: u16,
    /// Of an [`Op::Shutdown`].
    pub flags: u32,
    /// How many bytes the sender takes at all, on this connection.
    pub buffer_bytes: u32,
    /// How many it has passed on, modulo 2^32.
    pub forwarded: u32,
}

impl Header {
    fn decode(bytes: &[u8; HEADER_BYTES as usize]) -> Self {
        let mut rest = &bytes[..];
        Self {
            src_cid: u64::from_le_bytes(take(&mut rest)),
            dst_cid: u64::from_le_bytes(take(&mut rest)),
            src_port: u32::from_le_bytes(take(&mut rest)),
            dst_port: u32::from_le_bytes(take(&mut rest)),
            bytes: u32::from_le_bytes(take(&mut rest)),
            packet_type: u16::from_le_bytes(take(&mut rest)),
            op: u16::from_le_bytes(take(&mut rest)),
            flags: u32::from_le_bytes(take(&mut rest)),
            buffer_bytes: u32::from_le_bytes(take(&mut rest)),
            forwarded: u32::from_le_bytes(take(&mut rest)),
        }
    }

    /// The same header for a stream from a port of the host to a guest's context ID and port.
    pub(super) fn addressed(self, port: u32, (guest_cid, guest_port): (u64, u32)) -> Self {
        Self {
            src_cid: HOST_CID,
            src_port: port,
            dst_cid: guest_cid,
            dst_port: guest_port,
            packet_type: TYPE_STREAM,
            ..self
        }
    }

    fn encode(&self) -> Vec<u8> {
        [
            &self.src_cid.to_le_bytes()[..],
            &self.dst_cid.to_le_bytes(),
            &self.src_port.to_le_bytes(),
            &self.dst_port.to_le_bytes(),
            &self.bytes.to_le_bytes(),
            &self.packet_type.to_le_bytes(),
            &self.op.to_le_bytes(),
            &self.flags.to_le_bytes(),
            &self.buffer_bytes.to_le_bytes(),
            &self.forwarded.to_le_bytes(),
        ]
        .concat()
    }
}

/// The next field of a header; zeros behind its end, where no field is.
fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    match bytes.split_first_chunk() {
        Some((field, rest)) => {
            *bytes = rest;
            *field
        }
        None => [0; N],
    }
}

/// A chain is no packet.
#[derive(Debug, thiserror::Error)]
pub(super) enum PacketError {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error("a packet has less data than it says, or no whole header")]
    TooShort(#[from] TooShort),
    #[error("a packet has {0} bytes of data")]
    TooLong(u32),
}

/// A packet from the guest.
pub(super) struct Received<'m> {
    pub header: Header,
    pub data: Readable<'m>,
}

impl<'m> Received<'m> {
    /// The packet in `chain`, in any number of buffers: Linux sends large data in pages.
    pub(super) fn parse(chain: Chain<'m>) -> Result<Self, PacketError> {
        let Buffers { readable, .. } = chain.buffers()?;
        let (header, rest) = readable.split_at(HEADER_BYTES)?;
        let mut bytes = [0; HEADER_BYTES as usize];
        header.copy_to(&mut bytes)?;
        let header = Header::decode(&bytes);
        if header.bytes > MAX_DATA_BYTES {
            return Err(PacketError::TooLong(header.bytes));
        }
        let (data, _) = rest.split_at(header.bytes)?;
        Ok(Self { header, data })
    }
}

/// A buffer of the guest for a packet to it.
pub(super) struct Empty<'m> {
    header: Writable<'m>,
    /// Where the packet's data goes; at least a byte.
    pub data: Writable<'m>,
}

impl<'m> Empty<'m> {
    /// The buffer in `chain`.
    pub(super) fn parse(chain: Chain<'m>) -> Result<Self, PacketError> {
        let Buffers { writable, .. } = chain.buffers()?;
        let (header, data) = writable.split_at(HEADER_BYTES)?;
        // One that can't have data would stand in the way of data.
        match data.bytes() {
            0 => Err(TooShort.into()),
            _ => Ok(Self { header, data }),
        }
    }

    /// Makes it a packet, with what is in `data` already; how many bytes it has.
    pub(super) fn finish(&self, header: &Header) -> Result<u32, TooShort> {
        self.header.copy_from(&header.encode())?;
        Ok(HEADER_BYTES + header.bytes)
    }
}
