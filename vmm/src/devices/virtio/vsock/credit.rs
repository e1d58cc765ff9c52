//! How much data may be under way, counted by both ends (virtio 1.2, section 5.10.6.3): all
//! counters are 32 bits wide and wrap.

use std::num::Wrapping;

use serde::{Deserialize, Serialize};

/// How much of a connection's data we keep for a host that does not read, in bytes: what Linux
/// keeps (`VIRTIO_VSOCK_DEFAULT_BUF_SIZE`, `net/vmw_vsock/virtio_transport_common.c`).
pub const BUFFER_BYTES: u32 = 256 << 10;

/// The guest has sent more than it was told there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more was sent than there is room for")]
pub(super) struct Overrun;

/// What the guest may send.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct ReceiveCredit {
    received: Wrapping<u32>,
    forwarded: Wrapping<u32>,
    told: Wrapping<u32>,
}

impl ReceiveCredit {
    /// The guest has sent this many bytes.
    pub(super) fn receive(&mut self, bytes: u32) -> Result<(), Overrun> {
        if bytes > BUFFER_BYTES - self.kept_bytes() {
            return Err(Overrun);
        }
        self.received += bytes;
        Ok(())
    }

    /// How many bytes the guest has sent that are not with the host.
    pub(super) fn kept_bytes(&self) -> u32 {
        (self.received - self.forwarded).0
    }

    /// This many of the bytes are with the host.
    pub(super) fn forward(&mut self, bytes: u32) {
        self.forwarded += bytes;
    }

    /// All bytes are with the host, or lost to it.
    pub(super) fn forward_all(&mut self) {
        self.forwarded = self.received;
    }

    /// The count to be told to the guest, and to be taken as told.
    pub(super) fn tell(&mut self) -> u32 {
        self.told = self.forwarded;
        self.told.0
    }

    /// Whether a packet is worth sending for the count alone: there is more room than the guest
    /// knows of, and it knows of less than half.
    pub(super) fn worth_telling(&self) -> bool {
        self.told != self.forwarded && (self.received - self.told).0 > BUFFER_BYTES / 2
    }
}

/// What we may send to the guest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SendCredit {
    sent: Wrapping<u32>,
    guest_buffer_bytes: u32,
    guest_forwarded: Wrapping<u32>,
}

impl SendCredit {
    /// As the guest's first packet says.
    pub(super) fn new(guest_buffer_bytes: u32) -> Self {
        Self {
            sent: Wrapping(0),
            guest_buffer_bytes,
            guest_forwarded: Wrapping(0),
        }
    }

    /// As a later packet of the guest says.
    pub(super) fn update(&mut self, guest_buffer_bytes: u32, guest_forwarded: u32) {
        self.guest_buffer_bytes = guest_buffer_bytes;
        self.guest_forwarded = Wrapping(guest_forwarded);
    }

    /// We have sent this many bytes.
    pub(super) fn send(&mut self, bytes: u32) {
        self.sent += bytes;
    }

    /// How many bytes may be sent. A guest that says it forwarded more than was sent, or that its
    /// buffer is smaller than what it holds, gets nothing until it says otherwise.
    pub(super) fn free(&self) -> u32 {
        let under_way = (self.sent - self.guest_forwarded).0;
        self.guest_buffer_bytes.saturating_sub(under_way)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_guest_may_fill_the_buffer_and_not_a_byte_more() {
        let mut credit = ReceiveCredit::default();
        assert_eq!(credit.receive(BUFFER_BYTES), Ok(()));
        assert_eq!(credit.receive(1), Err(Overrun));
        credit.forward(10);
        assert_eq!(credit.receive(11), Err(Overrun));
        assert_eq!(credit.receive(10), Ok(()));
    }

    #[test]
    fn the_guest_is_told_when_it_knows_of_little_room() {
        let mut credit = ReceiveCredit::default();
        credit.receive(BUFFER_BYTES / 2).unwrap();
        credit.forward_all();
        assert!(!credit.worth_telling());
        credit.receive(1).unwrap();
        assert!(credit.worth_telling());
        assert_eq!(credit.tell(), BUFFER_BYTES / 2);
        assert!(!credit.worth_telling());
    }

    #[test]
    fn a_guest_that_counts_wrongly_gets_nothing() {
        let mut credit = SendCredit::new(100);
        credit.send(50);
        assert_eq!(credit.free(), 50);
        credit.update(100, 51);
        assert_eq!(credit.free(), 0);
        credit.update(40, 0);
        assert_eq!(credit.free(), 0);
        credit.update(100, 50);
        assert_eq!(credit.free(), 100);
    }

    proptest! {
        #[test]
        fn a_guest_that_waits_for_room_is_told_of_it(
            steps in prop::collection::vec((1..=BUFFER_BYTES, 0..=BUFFER_BYTES), 1..200),
        ) {
            let mut credit = ReceiveCredit::default();
            // What the guest believes.
            let (mut sent, mut told) = (Wrapping(0u32), Wrapping(0u32));
            for (wish, forward) in steps {
                let room = BUFFER_BYTES - (sent - told).0;
                let bytes = wish.min(room);
                prop_assert_eq!(credit.receive(bytes), Ok(()));
                sent += bytes;
                credit.forward(forward.min(credit.kept_bytes()));
                if credit.worth_telling() {
                    told = Wrapping(credit.tell());
                }
                let starved = sent - told == Wrapping(BUFFER_BYTES);
                prop_assert!(!starved || credit.forwarded == told);
            }
        }

        #[test]
        fn what_is_under_way_never_exceeds_the_guests_buffer(
            start: u32,
            steps in prop::collection::vec((any::<u32>(), any::<u32>()), 1..200),
        ) {
            let buffer = 64 << 10;
            let mut credit = SendCredit::new(buffer);
            credit.send(start);
            credit.update(buffer, start);
            let mut kept = 0;
            let mut forwarded = Wrapping(start);
            for (wish, forward) in steps {
                let bytes = wish.min(credit.free());
                credit.send(bytes);
                kept += bytes;
                prop_assert!(kept <= buffer);
                let forward = forward.min(kept);
                kept -= forward;
                forwarded += forward;
                credit.update(buffer, forwarded.0);
                prop_assert_eq!(credit.free(), buffer - kept);
            }
        }
    }
}
