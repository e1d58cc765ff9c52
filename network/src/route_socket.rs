//! A conversation with the kernel's routing netlink (rtnetlink(7)), one request at a time.

use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;

/// A socket that belongs to the network namespace in which it was opened.
pub(crate) struct RouteSocket {
    socket: Socket,
    sequence: u32,
}

impl RouteSocket {
    /// Opens one in the network namespace of the calling thread.
    pub(crate) fn open() -> Result<Self, Errno> {
        Self::new(Socket::new(NETLINK_ROUTE).map_err(errno)?)
    }

    /// One that somebody else has opened, as it came from socket(2).
    pub(crate) fn of(descriptor: OwnedFd) -> Result<Self, Errno> {
        // SAFETY: the descriptor is open, and nobody else closes it.
        Self::new(unsafe { Socket::from_raw_fd(descriptor.into_raw_fd()) })
    }

    fn new(mut socket: Socket) -> Result<Self, Errno> {
        socket.bind_auto().map_err(errno)?;
        // Port 0 is the kernel: what anyone else sends is not delivered.
        socket.connect(&SocketAddr::new(0, 0)).map_err(errno)?;
        Ok(Self {
            socket,
            sequence: 0,
        })
    }

    /// Makes something that must not be there yet.
    pub(crate) fn create(&mut self, message: RouteNetlinkMessage) -> Result<(), Errno> {
        self.ask(message, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL)
            .map(drop)
    }

    /// Changes or deletes something.
    pub(crate) fn change(&mut self, message: RouteNetlinkMessage) -> Result<(), Errno> {
        self.ask(message, NLM_F_ACK).map(drop)
    }

    /// Asks for one thing.
    pub(crate) fn get(
        &mut self,
        message: RouteNetlinkMessage,
    ) -> Result<Option<RouteNetlinkMessage>, Errno> {
        // With an acknowledgement, so that every answer ends in the same way.
        Ok(self.ask(message, NLM_F_ACK)?.into_iter().next())
    }

    /// Asks for all that there are.
    pub(crate) fn list(
        &mut self,
        message: RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, Errno> {
        self.ask(message, NLM_F_DUMP)
    }

    fn ask(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<Vec<RouteNetlinkMessage>, Errno> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | flags;
        request.header.sequence_number = self.sequence;
        request.finalize();
        let mut bytes = vec![0; request.header.length as usize];
        request.serialize(&mut bytes);
        self.socket.send(&bytes, 0).map_err(errno)?;
        let mut answers = Vec::new();
        loop {
            let (datagram, _) = self.socket.recv_from_full().map_err(errno)?;
            if self.read(&datagram, &mut answers)? {
                return Ok(answers);
            }
        }
    }

    /// Takes the messages of one datagram; `true` if the answer ends in it.
    fn read(
        &self,
        mut datagram: &[u8],
        answers: &mut Vec<RouteNetlinkMessage>,
    ) -> Result<bool, Errno> {
        while !datagram.is_empty() {
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(datagram)
                .map_err(|_| Errno::EBADMSG)?;
            // Messages are aligned to NLMSG_ALIGNTO, 4 bytes (netlink(7)).
            let length = (message.header.length as usize).next_multiple_of(4);
            datagram = datagram.get(length..).unwrap_or_default();
            if message.header.sequence_number != self.sequence {
                continue;
            }
            match message.payload {
                NetlinkPayload::InnerMessage(answer) => answers.push(answer),
                NetlinkPayload::Done(_) => return Ok(true),
                NetlinkPayload::Error(error) => {
                    return match error.code {
                        None => Ok(true),
                        Some(code) => Err(Errno::from_raw(code.get().saturating_abs())),
                    };
                }
                _ => {}
            }
        }
        Ok(false)
    }
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}
