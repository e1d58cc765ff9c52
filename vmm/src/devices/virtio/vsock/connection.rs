use std::os::unix::net::UnixStream;

use vmm_sys_util::epoll::EventSet;

use super::credit::{BUFFER_BYTES, SendCredit};
use super::guest_to_host::GuestToHost;
use super::host_to_guest::HostToGuest;
use super::packet::{Header, Op, Received, SHUTDOWN_RECEIVE, SHUTDOWN_SEND};
use super::violation::Violation;
use crate::devices::virtio::Writable;

/// What is to become of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It lives on.
    Stay,
    /// It is over, and the guest is to be told.
    Reset,
    /// It is over, and the guest knows.
    Forget,
}

/// A guest's connection to a port of the host.
pub(super) struct Connection {
    pub(super) guest_port: u32,
    pub(super) stream: UnixStream,
    pub(super) guest_to_host: GuestToHost,
    pub(super) host_to_guest: HostToGuest,
    /// The guest's request was not answered yet.
    pub(super) response_due: bool,
    /// The guest asked for credit.
    pub(super) credit_due: bool,
    /// What the guest has shut down, as flags.
    pub(super) guest_shut: u32,
    /// What the guest was told is shut down on our side, as flags.
    pub(super) told_shut: u32,
    /// The guest has let go of the connection.
    pub(super) guest_gone: bool,
    /// What the stream is being waited for; see [`Connection::interest`].
    pub(super) awaited: EventSet,
}

impl Connection {
    /// The connection that `request` asks for, joined with `stream`, which does not block.
    pub(super) fn new(request: &Header, stream: UnixStream) -> Self {
        Self {
            guest_port: request.src_port,
            stream,
            guest_to_host: GuestToHost::new(),
            host_to_guest: HostToGuest::new(SendCredit::new(request.buffer_bytes)),
            response_due: true,
            credit_due: false,
            guest_shut: 0,
            told_shut: 0,
            guest_gone: false,
            awaited: EventSet::empty(),
        }
    }

    pub(super) fn guest_port(&self) -> u32 {
        self.guest_port
    }

    /// Takes a packet of the guest.
    pub(super) fn receive(&mut self, packet: Received<'_>) -> Result<(), Violation> {
        let Received { header, data } = packet;
        self.host_to_guest
            .update_credit(header.buffer_bytes, header.forwarded);
        match Op::of(header.op) {
            Some(Op::Data) => self.guest_to_host.receive(&self.stream, data)?,
            Some(Op::Shutdown) => self.shut(header.flags),
            Some(Op::Reset) => self.guest_gone = true,
            Some(Op::CreditUpdate) => (),
            Some(Op::CreditRequest) => self.credit_due = true,
            Some(Op::Request | Op::Response) | None => return Err(Violation::Nonsense),
        }
        Ok(())
    }

    fn shut(&mut self, flags: u32) {
        self.guest_shut |= flags & (SHUTDOWN_RECEIVE | SHUTDOWN_SEND);
        if self.guest_shut & SHUTDOWN_SEND != 0 {
            self.guest_to_host.end(&self.stream);
        }
        if self.guest_shut & SHUTDOWN_RECEIVE != 0 {
            self.host_to_guest.refuse(&self.stream);
        }
    }

    /// What is to become of it now.
    pub(super) fn fate(&self) -> Fate {
        // Whatever the guest does, the host gets what the guest has sent before.
        if self.guest_to_host.is_blocked() {
            return Fate::Stay;
        }
        match self.guest_shut == SHUTDOWN_RECEIVE | SHUTDOWN_SEND {
            _ if self.guest_gone => Fate::Forget,
            true => Fate::Reset,
            false => Fate::Stay,
        }
    }

    /// Something has happened to the stream that was waited for.
    pub(super) fn stream_event(&mut self, events: EventSet) {
        // Events come once, and then have to be asked for again.
        self.awaited = EventSet::empty();
        if events.intersects(EventSet::HANG_UP | EventSet::ERROR) {
            // The host can neither read nor write.
            self.guest_to_host.refuse();
        }
        if events.intersects(EventSet::IN | EventSet::HANG_UP | EventSet::ERROR) {
            self.host_to_guest.set_readable();
        }
        if events.contains(EventSet::OUT) {
            self.guest_to_host.flush(&self.stream);
        }
    }

    /// What the stream is to be waited for: only what makes a difference, so that nothing wakes
    /// the device that it can't deal with.
    pub(super) fn interest(&self) -> EventSet {
        let mut interest = EventSet::empty();
        interest.set(
            EventSet::IN,
            self.host_to_guest.awaits_data() && !self.guest_gone,
        );
        interest.set(EventSet::OUT, self.guest_to_host.is_blocked());
        interest
    }

    /// Whether [`Connection::next_packet`] is worth a try.
    pub(super) fn has_packet(&self) -> bool {
        !self.guest_gone
            && (self.response_due
                || self.host_to_guest.has_data()
                || self.shutdown_due()
                || self.credit_due
                || self.guest_to_host.credit_update_due()
                || self.host_to_guest.credit_request_due())
    }

    /// The next packet for the guest, but for its addresses; `buffer` has its data.
    pub(super) fn next_packet(&mut self, buffer: &Writable<'_>) -> Option<Header> {
        if self.guest_gone {
            return None;
        }
        let (op, bytes, flags) = if self.response_due {
            self.response_due = false;
            (Op::Response, 0, 0)
        } else if let Some(bytes) = self.host_to_guest.read(&self.stream, buffer) {
            (Op::Data, bytes, 0)
        } else if self.shutdown_due() {
            self.told_shut = self.shut_flags();
            (Op::Shutdown, 0, self.told_shut)
        } else if self.credit_due || self.guest_to_host.credit_update_due() {
            (Op::CreditUpdate, 0, 0)
        } else if self.host_to_guest.credit_request_due() {
            self.host_to_guest.set_asked();
            (Op::CreditRequest, 0, 0)
        } else {
            return None;
        };
        // Whatever the packet is for, it tells this too.
        self.credit_due = false;
        Some(Header {
            op: op as u16,
            bytes,
            flags,
            buffer_bytes: BUFFER_BYTES,
            forwarded: self.guest_to_host.credit.tell(),
            ..Header::default()
        })
    }

    fn shut_flags(&self) -> u32 {
        let mut flags = 0;
        if self.host_to_guest.has_ended() {
            flags |= SHUTDOWN_SEND;
        }
        if self.guest_to_host.is_refused() {
            flags |= SHUTDOWN_RECEIVE;
        }
        flags
    }

    fn shutdown_due(&self) -> bool {
        self.shut_flags() & !self.told_shut != 0
    }

    #[cfg(test)]
    pub(super) fn kept_bytes(&self) -> usize {
        self.guest_to_host.kept_bytes()
    }
}
