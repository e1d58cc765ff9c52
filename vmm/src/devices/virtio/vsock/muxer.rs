use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

use virtio_vsock::packet::{PKT_HEADER_SIZE, VsockPacket};
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};

use super::connection::{Connection, Fate};
use super::packet::{Address, Content, HOST_CID, Op, TYPE_STREAM};
use crate::devices::virtio::Outcome;

/// How many refusals may wait for the guest to make room for them before none of its packets is
/// taken any more.
const MAX_RESETS: usize = 64;

/// Events taken from the kernel at once.
const EVENTS: usize = 16;

/// What a port of the host has behind it.
enum Port {
    /// What its first connection will be joined with.
    Free(UnixStream),
    /// Its connection.
    Connected(Connection),
    /// Its connection is over.
    Over,
}

/// An answer to a packet that belongs to no connection.
struct Reset {
    from: Address,
    to_port: u32,
    packet_type: u16,
}

/// All connections of a guest.
pub(super) struct Muxer {
    guest_cid: u64,
    ports: BTreeMap<u32, Port>,
    resets: VecDeque<Reset>,
    /// The port that was the last to have a packet, so that each has its turn.
    last_port: u32,
    /// The streams that are waited for, under their ports' numbers, each for one event.
    streams: Epoll,
}

impl Muxer {
    pub(super) fn new(guest_cid: u64, ports: BTreeMap<u32, UnixStream>) -> io::Result<Self> {
        for stream in ports.values() {
            stream.set_nonblocking(true)?;
        }
        Ok(Self {
            guest_cid,
            ports: ports
                .into_iter()
                .map(|(port, stream)| (port, Port::Free(stream)))
                .collect(),
            resets: VecDeque::new(),
            last_port: 0,
            streams: Epoll::new()?,
        })
    }

    /// Readable when [`Muxer::stream_events`] is to be called.
    pub(super) fn events_fd(&self) -> RawFd {
        self.streams.as_raw_fd()
    }

    /// Ends all connections, without a word to the guest.
    pub(super) fn reset(&mut self) {
        self.resets.clear();
        for port in self.ports.values_mut() {
            if let Port::Connected(_) = port {
                *port = Port::Over;
            }
        }
    }

    /// Whether there is room for what a packet of the guest may bring about.
    pub(super) fn can_receive(&self) -> bool {
        self.resets.len() < MAX_RESETS
    }

    /// Takes a packet of the guest.
    pub(super) fn receive(&mut self, packet: &VsockPacket<'_, ()>) {
        let ours = packet.src_cid() == self.guest_cid
            && packet.dst_cid() == HOST_CID
            && packet.type_() == TYPE_STREAM;
        let number = packet.dst_port();
        match self.ports.get_mut(&number).filter(|_| ours) {
            Some(Port::Connected(connection)) if connection.guest_port() == packet.src_port() => {
                match connection.receive(packet) {
                    Ok(()) => self.settle(number),
                    Err(violation) => {
                        tracing::debug!("sockets: port {number}: {violation}");
                        self.end(number, Fate::Reset);
                    }
                }
            }
            Some(port @ Port::Free(_)) if Op::of(packet) == Some(Op::Request) => {
                if let Port::Free(stream) = mem::replace(port, Port::Over) {
                    self.connect(packet, stream);
                }
            }
            _ => self.refuse(packet),
        }
    }

    fn connect(&mut self, request: &VsockPacket<'_, ()>, stream: UnixStream) {
        let number = request.dst_port();
        // For nothing yet: `await_streams` knows for what.
        let event = EpollEvent::new(EventSet::ONE_SHOT, number.into());
        let added = self
            .streams
            .ctl(ControlOperation::Add, stream.as_raw_fd(), event);
        match added {
            Ok(()) => {
                let connection = Connection::new(request, stream);
                self.ports.insert(number, Port::Connected(connection));
            }
            Err(error) => {
                tracing::error!("sockets: port {number} can't be waited for: {error}");
                self.refuse(request);
            }
        }
    }

    fn refuse(&mut self, packet: &VsockPacket<'_, ()>) {
        // Two that refuse each other's refusals never end.
        if Op::of(packet) != Some(Op::Reset) {
            self.resets.push_back(Reset {
                from: Address {
                    cid: packet.dst_cid(),
                    port: packet.dst_port(),
                },
                to_port: packet.src_port(),
                packet_type: packet.type_(),
            });
        }
    }

    /// Ends the connection of a port if it is time.
    fn settle(&mut self, number: u32) {
        if let Some(Port::Connected(connection)) = self.ports.get(&number) {
            match connection.fate() {
                Fate::Stay => (),
                fate => self.end(number, fate),
            }
        }
    }

    fn end(&mut self, number: u32, fate: Fate) {
        // Closing the stream also takes it out of `streams`.
        if let Some(Port::Connected(connection)) = self.ports.insert(number, Port::Over)
            && fate == Fate::Reset
        {
            self.resets.push_back(Reset {
                from: Address {
                    cid: HOST_CID,
                    port: number,
                },
                to_port: connection.guest_port(),
                packet_type: TYPE_STREAM,
            });
        }
    }

    fn connections(&mut self) -> impl Iterator<Item = (u32, &mut Connection)> {
        self.ports
            .iter_mut()
            .filter_map(|(number, port)| match port {
                Port::Connected(connection) => Some((*number, connection)),
                Port::Free(_) | Port::Over => None,
            })
    }

    /// Whether [`Muxer::fill`] is worth a try.
    pub(super) fn has_packet(&mut self) -> bool {
        !self.resets.is_empty()
            || self
                .connections()
                .any(|(_, connection)| connection.has_packet())
    }

    /// Puts the next packet for the guest into its buffer.
    pub(super) fn fill(&mut self, packet: &mut VsockPacket<'_, ()>) -> Outcome {
        // A buffer that can't have data is no use, and may not stand in the way of others.
        let Some(buffer) = packet.data_slice().copied() else {
            return Outcome::Used(0);
        };
        let guest_cid = self.guest_cid;
        if let Some(reset) = self.resets.pop_front() {
            let to = Address {
                cid: guest_cid,
                port: reset.to_port,
            };
            Content::RESET.write(packet, reset.from, to, reset.packet_type);
            return Outcome::Used(PKT_HEADER_SIZE as u32);
        }
        let last = self.last_port;
        let mut ready: Vec<_> = self
            .connections()
            .filter(|(_, connection)| connection.has_packet())
            .collect();
        // First those behind the last one, then from the start.
        ready.sort_by_key(|(number, _)| (*number <= last, *number));
        for (number, connection) in ready {
            if let Some(content) = connection.next_packet(&buffer) {
                let from = Address {
                    cid: HOST_CID,
                    port: number,
                };
                let to = Address {
                    cid: guest_cid,
                    port: connection.guest_port(),
                };
                content.write(packet, from, to, TYPE_STREAM);
                self.last_port = number;
                return Outcome::Used(PKT_HEADER_SIZE as u32 + content.bytes);
            }
        }
        Outcome::PutBack
    }

    /// Looks which streams have had what they were waited for.
    pub(super) fn stream_events(&mut self) {
        let mut events = [EpollEvent::default(); EVENTS];
        let count = match self.streams.wait(0, &mut events) {
            Ok(count) => count,
            Err(error) => {
                tracing::error!("sockets: streams can't be waited for: {error}");
                return;
            }
        };
        for event in &events[..count] {
            // Ports have 32 bits.
            let number = event.data() as u32;
            if let Some(Port::Connected(connection)) = self.ports.get_mut(&number) {
                connection.stream_event(event.event_set());
                self.settle(number);
            }
        }
    }

    /// Waits for what the connections can't go on without.
    pub(super) fn await_streams(&mut self) {
        let mut changed = Vec::new();
        for (number, connection) in self.connections() {
            let interest = connection.interest();
            if !interest.is_empty() && interest != connection.awaited {
                connection.awaited = interest;
                changed.push((number, connection.stream.as_raw_fd(), interest));
            }
        }
        for (number, stream, interest) in changed {
            let event = EpollEvent::new(interest | EventSet::ONE_SHOT, number.into());
            if let Err(error) = self.streams.ctl(ControlOperation::Modify, stream, event) {
                tracing::error!("sockets: port {number} can't be waited for: {error}");
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_over(&self, number: u32) -> bool {
        matches!(self.ports.get(&number), Some(Port::Over))
    }

    #[cfg(test)]
    pub(super) fn kept_bytes(&mut self) -> usize {
        self.connections()
            .map(|(_, connection)| connection.kept_bytes())
            .sum()
    }
}
