use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::mem;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};

use super::connection::{Connection, Fate};
use super::packet::{Empty, HOST_CID, Header, Op, Received, TYPE_STREAM};
use crate::devices::virtio::Outcome;

/// How many refusals may wait for the guest to make room for them before none of its packets is
/// taken any more.
pub(super) const MAX_RESETS: usize = 64;

/// Most ports that a device has at a time.
pub(super) const MAX_PORTS: usize = 2048;

/// Events taken from the kernel at once.
const EVENTS: usize = 16;

/// What a port of the host has behind it.
pub(super) enum Port {
    /// What its first connection will be joined with.
    Free(UnixStream),
    /// Its connection.
    Connected(Connection),
    /// Its connection is over.
    Over,
}

/// All connections of a guest.
pub(super) struct Muxer {
    pub(super) guest_cid: u64,
    pub(super) ports: BTreeMap<u32, Port>,
    /// Refusals and ends of connections that the guest is to be told of.
    pub(super) resets: VecDeque<Header>,
    /// The port that was the last to have a packet, so that each has its turn.
    pub(super) last_port: u32,
    /// The streams that are waited for, under their ports' numbers, each for one event.
    streams: Epoll,
}

impl Muxer {
    pub(super) fn new(guest_cid: u64, ports: BTreeMap<u32, UnixStream>) -> io::Result<Self> {
        let mut muxer = Self {
            guest_cid,
            ports: BTreeMap::new(),
            resets: VecDeque::new(),
            last_port: 0,
            streams: Epoll::new()?,
        };
        muxer.add(ports)?;
        Ok(muxer)
    }

    /// Adds ports.
    pub(super) fn add(&mut self, ports: BTreeMap<u32, UnixStream>) -> io::Result<()> {
        let taken = ports.keys().any(|number| self.ports.contains_key(number));
        if taken || self.ports.len() + ports.len() > MAX_PORTS {
            return Err(ErrorKind::AddrInUse.into());
        }
        for stream in ports.values() {
            stream.set_nonblocking(true)?;
        }
        self.ports.extend(
            ports
                .into_iter()
                .map(|(port, stream)| (port, Port::Free(stream))),
        );
        Ok(())
    }

    /// Takes a port away. A connection to it is over.
    pub(super) fn remove(&mut self, number: u32) {
        if let Some(Port::Connected(connection)) = self.ports.get(&number) {
            let fate = match connection.guest_gone {
                true => Fate::Forget,
                false => Fate::Reset,
            };
            self.end(number, fate);
        }
        self.ports.remove(&number);
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
    pub(super) fn receive(&mut self, packet: Received<'_>) {
        let header = packet.header;
        let ours = header.src_cid == self.guest_cid
            && header.dst_cid == HOST_CID
            && header.packet_type == TYPE_STREAM;
        let number = header.dst_port;
        match self.ports.get_mut(&number).filter(|_| ours) {
            Some(Port::Connected(connection)) if connection.guest_port() == header.src_port => {
                match connection.receive(packet) {
                    Ok(()) => self.settle(number),
                    Err(violation) => {
                        tracing::debug!("sockets: port {number}: {violation}");
                        self.end(number, Fate::Reset);
                    }
                }
            }
            Some(port @ Port::Free(_)) if Op::of(header.op) == Some(Op::Request) => {
                if let Port::Free(stream) = mem::replace(port, Port::Over) {
                    self.connect(&header, stream);
                }
            }
            _ => self.refuse(&header),
        }
    }

    fn connect(&mut self, request: &Header, stream: UnixStream) {
        let number = request.dst_port;
        match self.watch(number, &stream) {
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

    /// Lets the stream behind a port be waited for, but for nothing yet:
    /// [`Muxer::await_streams`] knows for what.
    pub(super) fn watch(&self, number: u32, stream: &UnixStream) -> io::Result<()> {
        let event = EpollEvent::new(EventSet::ONE_SHOT, number.into());
        self.streams
            .ctl(ControlOperation::Add, stream.as_raw_fd(), event)
    }

    fn refuse(&mut self, packet: &Header) {
        // Two that refuse each other's refusals never end.
        if Op::of(packet.op) != Some(Op::Reset) {
            self.resets.push_back(Header {
                // Where the guest has sent it, so that it knows what is refused.
                src_cid: packet.dst_cid,
                src_port: packet.dst_port,
                dst_cid: self.guest_cid,
                dst_port: packet.src_port,
                packet_type: packet.packet_type,
                op: Op::Reset as u16,
                ..Header::default()
            });
        }
    }

    /// Ends the connection of a port if it is time.
    pub(super) fn settle(&mut self, number: u32) {
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
            self.reset_connection(number, connection.guest_port());
        }
    }

    /// Has the guest told that a connection to a port is over.
    pub(super) fn reset_connection(&mut self, number: u32, guest_port: u32) {
        let reset = Header {
            op: Op::Reset as u16,
            ..Header::default()
        };
        let to = (self.guest_cid, guest_port);
        self.resets.push_back(reset.addressed(number, to));
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
    pub(super) fn fill(&mut self, buffer: &Empty<'_>) -> Outcome {
        match self.next_packet(buffer) {
            // There is room for a header, so no error.
            Some(header) => Outcome::Used(buffer.finish(&header).unwrap_or(0)),
            None => Outcome::PutBack,
        }
    }

    fn next_packet(&mut self, buffer: &Empty<'_>) -> Option<Header> {
        if let Some(reset) = self.resets.pop_front() {
            return Some(reset);
        }
        let (guest_cid, last) = (self.guest_cid, self.last_port);
        let mut ready: Vec<_> = self
            .connections()
            .filter(|(_, connection)| connection.has_packet())
            .collect();
        // First those behind the last one, then from the start.
        ready.sort_by_key(|(number, _)| (*number <= last, *number));
        for (number, connection) in ready {
            if let Some(packet) = connection.next_packet(&buffer.data) {
                let to = (guest_cid, connection.guest_port());
                self.last_port = number;
                return Some(packet.addressed(number, to));
            }
        }
        None
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
