use std::os::fd::AsRawFd;

use event_manager::{EventOps, EventSet, Events, MutEventSubscriber};

use super::Net;

impl MutEventSubscriber for Net {
    fn init(&mut self, ops: &mut EventOps) {
        let queues = self
            .slots
            .iter()
            .map(|slot| Events::new(&slot.notify, EventSet::IN));
        // Told of once, however long a frame has to wait until the guest takes it.
        let link = self
            .tap
            .iter()
            .map(|tap| Events::new(tap, EventSet::IN | EventSet::EDGE_TRIGGERED));
        for events in queues.chain(link) {
            if let Err(error) = ops.add(events) {
                tracing::error!("the network will not be woken: {error}");
            }
        }
    }

    fn process(&mut self, events: Events, _ops: &mut EventOps) {
        let woken = self
            .slots
            .iter()
            .find(|slot| slot.notify.as_raw_fd() == events.fd());
        // Read first: what comes later wakes it again. The link is read until it is empty.
        if let Some(slot) = woken
            && let Err(error) = slot.notify.read()
        {
            tracing::debug!("network: woken for nothing: {error}");
        }
        self.serve();
    }
}
