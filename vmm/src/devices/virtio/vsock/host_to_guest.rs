use std::io::ErrorKind;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use super::credit::SendCredit;
use super::packet::MAX_DATA_BYTES;
use crate::devices::virtio::Writable;

/// How far the direction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The host may send.
    Open,
    /// The host has sent everything.
    Ended,
    /// The guest takes no more.
    Refused,
}

/// The data for a guest: read from the host straight into the guest's buffers, never more than
/// it has said it takes.
pub(super) struct HostToGuest {
    state: State,
    credit: SendCredit,
    readable: bool,
    /// Whether the guest was asked for credit since it last told of it.
    asked: bool,
}

impl HostToGuest {
    pub(super) fn new(credit: SendCredit) -> Self {
        Self {
            state: State::Open,
            credit,
            readable: false,
            asked: false,
        }
    }

    /// Every packet of the guest says how much it takes.
    pub(super) fn update_credit(&mut self, guest_buffer_bytes: u32, guest_forwarded: u32) {
        self.credit.update(guest_buffer_bytes, guest_forwarded);
        self.asked = false;
    }

    /// The stream has data, its end, or an error.
    pub(super) fn set_readable(&mut self) {
        self.readable = true;
    }

    /// Whether to wait for [`HostToGuest::set_readable`].
    pub(super) fn awaits_data(&self) -> bool {
        self.state == State::Open && !self.readable
    }

    /// Whether [`HostToGuest::read`] is worth a try.
    pub(super) fn has_data(&self) -> bool {
        self.state == State::Open && self.readable && self.credit.free() > 0
    }

    /// Fills `buffer` from its start; how many bytes there are, or `None` if there are none now.
    pub(super) fn read(&mut self, stream: &UnixStream, buffer: &Writable<'_>) -> Option<u32> {
        let limit = self.credit.free().min(MAX_DATA_BYTES).min(buffer.bytes());
        while self.has_data() {
            let read = match buffer.clone().split_at(limit) {
                Ok((part, _)) => part.receive(stream),
                Err(too_short) => Err(too_short.into()),
            };
            match read {
                Ok(0) => self.state = State::Ended,
                Ok(bytes) => {
                    // A short read has emptied the stream; if not, it is found readable at once.
                    self.readable = bytes == limit;
                    self.credit.send(bytes);
                    return Some(bytes);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(error) => {
                    tracing::debug!("sockets: the host sends no more: {error}");
                    self.state = State::Ended;
                }
            }
        }
        None
    }

    /// Whether the guest is to be asked how much it takes, once, as it takes nothing.
    pub(super) fn credit_request_due(&self) -> bool {
        self.state == State::Open && self.readable && self.credit.free() == 0 && !self.asked
    }

    /// The guest was asked.
    pub(super) fn set_asked(&mut self) {
        self.asked = true;
    }

    /// The guest takes no more.
    pub(super) fn refuse(&mut self, stream: &UnixStream) {
        if self.state == State::Open {
            // It fails only if the other end is gone, to which nothing need be said.
            let _ = stream.shutdown(Shutdown::Read);
        }
        self.state = State::Refused;
    }

    /// Whether the host has sent everything, and the guest takes it.
    pub(super) fn has_ended(&self) -> bool {
        self.state == State::Ended
    }
}
