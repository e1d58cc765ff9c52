use virtio_vsock::packet::VsockPacket;

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
    /// What `packet` is for; `None` if that means nothing.
    pub(super) fn of(packet: &VsockPacket<'_, ()>) -> Option<Self> {
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
        .find(|op| *op as u16 == packet.op())
    }
}

/// The end of a connection that a packet came from or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub cid: u64,
    pub port: u32,
}

/// What stands in the header of a packet to the guest, but for where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub op: Op,
    /// Bytes of data behind the header.
    pub bytes: u32,
    /// Of a [`Op::Shutdown`].
    pub flags: u32,
    /// How many bytes the connection's receiver takes at all.
    pub buffer_bytes: u32,
    /// How many it has passed on, modulo 2^32.
    pub forwarded: u32,
}

impl Content {
    /// A reset says nothing of credit.
    pub(super) const RESET: Self = Self {
        op: Op::Reset,
        bytes: 0,
        flags: 0,
        buffer_bytes: 0,
        forwarded: 0,
    };

    /// Writes the whole header.
    pub(super) fn write(
        self,
        packet: &mut VsockPacket<'_, ()>,
        from: Address,
        to: Address,
        packet_type: u16,
    ) {
        packet
            .set_src_cid(from.cid)
            .set_src_port(from.port)
            .set_dst_cid(to.cid)
            .set_dst_port(to.port)
            .set_type(packet_type)
            .set_op(self.op as u16)
            .set_len(self.bytes)
            .set_flags(self.flags)
            .set_buf_alloc(self.buffer_bytes)
            .set_fwd_cnt(self.forwarded);
    }
}
