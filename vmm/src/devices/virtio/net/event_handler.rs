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
        let limits = self
            .limits
            .iter()
            .map(|limits| Events::new(&limits.timer, EventSet::IN));
        for events in queues.chain(link).chain(limits) {
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
        if let Some(limits) = &mut self.limits
            && limits.timer.as_raw_fd() == events.fd()
        {
            limits.woken();
        }
        self.serve();
    }
}
