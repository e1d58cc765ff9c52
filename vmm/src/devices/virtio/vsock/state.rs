use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixStream;

use serde::{Deserialize, Serialize};
use vmm_sys_util::epoll::EventSet;

use super::Vsock;
use super::connection::Connection;
use super::guest_to_host::GuestToHost;
use super::host_to_guest::HostToGuest;
use super::muxer::{MAX_PORTS, MAX_RESETS, Muxer, Port};
use super::packet::{Header, Op, SHUTDOWN_RECEIVE, SHUTDOWN_SEND};
use crate::devices::SavedState;

/// What a guest's sockets keep: connections live on, with the streams of another host. What is
/// under way to the guest is in here; what a host has not read of its end is lost.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    guest_cid: u64,
    ports: BTreeMap<u32, PortState>,
    resets: Vec<Reset>,
    last_port: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum PortState {
    Free,
    Connected(Box<ConnectionState>),
    Over,
}

/// A [`Connection`] but for its stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct ConnectionState {
    guest_port: u32,
    guest_to_host: GuestToHost,
    host_to_guest: HostToGuest,
    response_due: bool,
    credit_due: bool,
    guest_shut: u32,
    told_shut: u32,
    guest_gone: bool,
}

/// What is not the same in all headers that refuse a packet or end a connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Reset {
    src_cid: u64,
    src_port: u32,
    dst_port: u32,
    packet_type: u16,
}

/// A guest's sockets can't be in such a state.
#[derive(Debug, thiserror::Error)]
pub enum InvalidState {
    /// It is another guest's.
    #[error("sockets of the guest with context ID {0}")]
    OtherGuest(u64),
    /// A port of the device's is missing, or there are more than any has.
    #[error("other ports than the device has")]
    Ports,
    /// The device was used before.
    #[error("port {0} is in use")]
    InUse(u32),
    /// A connection is in a state that no packets bring about.
    #[error("the connection to port {0} can't be")]
    Connection(u32),
    /// More refusals wait than ever do.
    #[error("{0} refusals")]
    TooManyResets(usize),
    /// A stream can't be waited for.
    #[error("port {port} can't be waited for")]
    Stream {
        /// The port that it is behind.
        port: u32,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

impl SavedState for Vsock {
    type State = State;
    type Error = InvalidState;

    fn save(&mut self) -> State {
        self.muxer.save()
    }

    /// A stream that was joined with a connection is replaced by the one that this device was
    /// made with. Where the host had ended a direction, it stays ended. Ports that this device does
    /// not have are gone, and the guest finds connections to them reset.
    fn restore(&mut self, state: State) -> Result<(), InvalidState> {
        self.muxer.restore(state)
    }
}

impl Muxer {
    fn save(&mut self) -> State {
        let ports = self.ports.iter_mut().map(|(number, port)| {
            let port = match port {
                Port::Free(_) => PortState::Free,
                Port::Connected(connection) => PortState::Connected(Box::new(connection.save())),
                Port::Over => PortState::Over,
            };
            (*number, port)
        });
        State {
            guest_cid: self.guest_cid,
            ports: ports.collect(),
            resets: self.resets.iter().map(Reset::of).collect(),
            last_port: self.last_port,
        }
    }

    fn restore(&mut self, state: State) -> Result<(), InvalidState> {
        if state.guest_cid != self.guest_cid {
            return Err(InvalidState::OtherGuest(state.guest_cid));
        }
        let (kept, gone): (BTreeMap<_, _>, BTreeMap<_, _>) = state
            .ports
            .into_iter()
            .partition(|(number, _)| self.ports.contains_key(number));
        if kept.len() != self.ports.len() || kept.len() + gone.len() > MAX_PORTS {
            return Err(InvalidState::Ports);
        }
        // Each connection that ends may add one to those that stop packets from being taken.
        if state.resets.len() > MAX_RESETS + MAX_PORTS {
            return Err(InvalidState::TooManyResets(state.resets.len()));
        }
        self.last_port = state.last_port;
        self.resets = state
            .resets
            .iter()
            .map(|reset| reset.header(self.guest_cid))
            .collect();
        for (number, port) in kept {
            self.restore_port(number, port)?;
        }
        for (number, port) in gone {
            if let PortState::Connected(connection) = port
                && !connection.guest_gone
            {
                self.reset_connection(number, connection.guest_port);
            }
        }
        Ok(())
    }

    fn restore_port(&mut self, number: u32, port: PortState) -> Result<(), InvalidState> {
        let Some(Port::Free(stream)) = self.ports.insert(number, Port::Over) else {
            return Err(InvalidState::InUse(number));
        };
        let port = match port {
            PortState::Free => Port::Free(stream),
            PortState::Connected(state) => {
                self.watch(number, &stream)
                    .map_err(|cause| InvalidState::Stream {
                        port: number,
                        cause,
                    })?;
                Port::Connected(
                    Connection::restored(*state, stream).ok_or(InvalidState::Connection(number))?,
                )
            }
            // The host finds its end closed.
            PortState::Over => Port::Over,
        };
        self.ports.insert(number, port);
        self.settle(number);
        Ok(())
    }
}

impl Connection {
    fn save(&mut self) -> ConnectionState {
        if !self.guest_gone {
            self.host_to_guest.take_in(&self.stream);
        }
        ConnectionState {
            guest_port: self.guest_port,
            guest_to_host: self.guest_to_host.clone(),
            host_to_guest: self.host_to_guest.clone(),
            response_due: self.response_due,
            credit_due: self.credit_due,
            guest_shut: self.guest_shut,
            told_shut: self.told_shut,
            guest_gone: self.guest_gone,
        }
    }

    /// The connection with another stream, which does not block; `None` if there can't be one in
    /// such a state.
    fn restored(state: ConnectionState, stream: UnixStream) -> Option<Self> {
        let flags = state.guest_shut | state.told_shut;
        if flags & !(SHUTDOWN_RECEIVE | SHUTDOWN_SEND) != 0
            || !state.guest_to_host.is_possible()
            || !state.host_to_guest.is_possible()
        {
            return None;
        }
        state.guest_to_host.join(&stream);
        state.host_to_guest.join(&stream);
        Some(Self {
            guest_port: state.guest_port,
            stream,
            guest_to_host: state.guest_to_host,
            host_to_guest: state.host_to_guest,
            response_due: state.response_due,
            credit_due: state.credit_due,
            guest_shut: state.guest_shut,
            told_shut: state.told_shut,
            guest_gone: state.guest_gone,
            awaited: EventSet::empty(),
        })
    }
}

impl Reset {
    fn of(header: &Header) -> Self {
        Self {
            src_cid: header.src_cid,
            src_port: header.src_port,
            dst_port: header.dst_port,
            packet_type: header.packet_type,
        }
    }

    fn header(&self, guest_cid: u64) -> Header {
        Header {
            src_cid: self.src_cid,
            src_port: self.src_port,
            dst_cid: guest_cid,
            dst_port: self.dst_port,
            packet_type: self.packet_type,
            op: Op::Reset as u16,
            ..Header::default()
        }
    }
}

#[cfg(test)]
mod tests;
