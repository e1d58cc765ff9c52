use std::os::fd::AsRawFd;

use event_manager::{EventOps, EventSet, Events, MutEventSubscriber};

use super::Vsock;

impl MutEventSubscriber for Vsock {
    fn init(&mut self, ops: &mut EventOps) {
        let queues = self
            .slots
            .iter()
            .map(|slot| Events::new(&slot.notify, EventSet::IN));
        let streams = Events::new_raw(self.muxer.events_fd(), EventSet::IN);
        for events in queues.chain([streams]) {
            if let Err(error) = ops.add(events) {
                tracing::error!("the sockets will not be woken: {error}");
            }
        }
    }

    fn process(&mut self, events: Events, _ops: &mut EventOps) {
        let woken = self
            .slots
            .iter()
            .find(|slot| slot.notify.as_raw_fd() == events.fd());
        match woken {
            // Read first: what comes later wakes it again.
            Some(slot) => {
                if let Err(error) = slot.notify.read() {
                    tracing::debug!("sockets: woken for nothing: {error}");
                }
            }
            None => self.muxer.stream_events(),
        }
        self.serve();
    }
}
