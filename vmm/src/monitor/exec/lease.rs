use std::sync::mpsc::Sender;

use guest_protocol::SessionNumber;

use crate::monitor::event::Event;
use crate::monitor::threads::tell;

/// The right to a session's number: when nothing of the session uses it any more, the number and
/// its ports are free again.
pub(in crate::monitor) struct Lease {
    number: SessionNumber,
    events: Sender<Event>,
}

impl Lease {
    pub(in crate::monitor) fn new(number: SessionNumber, events: Sender<Event>) -> Self {
        Self { number, events }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        tell(&self.events, Event::SessionOver(self.number));
    }
}
