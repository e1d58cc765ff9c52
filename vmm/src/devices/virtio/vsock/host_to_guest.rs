use std::io::{ErrorKind, Read};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use rustix::io::ioctl_fionread;
use serde::{Deserialize, Serialize};

use super::credit::SendCredit;
use super::packet::MAX_DATA_BYTES;
use crate::devices::virtio::Writable;

/// How far the direction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    /// The host may send.
    Open,
    /// The host has sent everything, of which the guest does not have everything yet.
    Ending,
    /// The host has sent everything, and the guest can have it.
    Ended,
    /// The guest takes no more.
    Refused,
}

/// The data for a guest: read from the host straight into the guest's buffers, never more than
/// it has said it takes. Only a save takes data in before the guest has room for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct HostToGuest {
    state: State,
    credit: SendCredit,
    /// What was taken in and comes before all that the stream has.
    taken: Vec<u8>,
    /// Whether the stream may have something. Another stream has to be asked.
    #[serde(skip)]
    readable: bool,
    /// Whether the guest was asked for credit since it last told of it.
    asked: bool,
}

impl HostToGuest {
    pub(super) fn new(credit: SendCredit) -> Self {
        Self {
            state: State::Open,
            credit,
            taken: Vec::new(),
            readable: false,
            asked: false,
        }
    }

    /// Whether packets can have brought it about; one that was restored may be anything.
    pub(super) fn is_possible(&self) -> bool {
        match self.state {
            State::Open => true,
            State::Ending => !self.taken.is_empty(),
            State::Ended | State::Refused => self.taken.is_empty(),
        }
    }

    /// Goes on with another stream, whose host can't send any more if the last one couldn't.
    pub(super) fn join(&self, stream: &UnixStream) {
        if self.state != State::Open {
            // It fails only if the other end is gone, to which nothing need be said.
            let _ = stream.shutdown(Shutdown::Read);
        }
    }

    /// Takes all in that the stream has at this moment, and its end.
    pub(super) fn take_in(&mut self, stream: &UnixStream) {
        if self.state != State::Open {
            return;
        }
        // A host that goes on sending is not waited for.
        let bytes = ioctl_fionread(stream).unwrap_or_default();
        // Whoever tries to read one more sees the end, if it is there.
        match stream.take(bytes + 1).read_to_end(&mut self.taken) {
            Ok(taken) if taken as u64 > bytes => (),
            Ok(_) => self.end(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
            Err(error) => {
                tracing::debug!("sockets: the host sends no more: {error}");
                self.end();
            }
        }
    }

    /// The stream has ended.
    fn end(&mut self) {
        self.state = match self.taken.is_empty() {
            true => State::Ended,
            false => State::Ending,
        };
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
        self.state == State::Open && !self.may_have_data()
    }

    fn may_have_data(&self) -> bool {
        match self.state {
            State::Open => self.readable || !self.taken.is_empty(),
            State::Ending => true,
            State::Ended | State::Refused => false,
        }
    }

    /// Whether [`HostToGuest::read`] is worth a try.
    pub(super) fn has_data(&self) -> bool {
        self.may_have_data() && self.credit.free() > 0
    }

    /// Fills `buffer` from its start; how many bytes there are, or `None` if there are none now.
    pub(super) fn read(&mut self, stream: &UnixStream, buffer: &Writable<'_>) -> Option<u32> {
        let limit = self.credit.free().min(MAX_DATA_BYTES).min(buffer.bytes());
        while self.has_data() {
            if !self.taken.is_empty() {
                return self.pass_on(buffer, limit);
            }
            let read = match buffer.clone().split_at(limit) {
                Ok((part, _)) => part.receive(stream),
                Err(too_short) => Err(too_short.into()),
            };
            match read {
                Ok(0) => self.end(),
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
                    self.end();
                }
            }
        }
        None
    }

    /// Fills `buffer` with at most `limit` bytes of what was taken in.
    fn pass_on(&mut self, buffer: &Writable<'_>, limit: u32) -> Option<u32> {
        let bytes = self.taken.len().min(limit as usize);
        buffer.copy_from(&self.taken[..bytes]).ok()?;
        self.taken.drain(..bytes);
        if self.taken.is_empty() {
            // Gives the memory back as well.
            self.taken = Vec::new();
            if self.state == State::Ending {
                self.state = State::Ended;
            }
        }
        let bytes = bytes as u32;
        self.credit.send(bytes);
        Some(bytes)
    }

    /// Whether the guest is to be asked how much it takes, once, as it takes nothing.
    pub(super) fn credit_request_due(&self) -> bool {
        self.may_have_data() && self.credit.free() == 0 && !self.asked
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
        self.taken = Vec::new();
    }

    /// Whether the host has sent everything, and the guest takes it.
    pub(super) fn has_ended(&self) -> bool {
        self.state == State::Ended
    }
}
