use std::os::fd::AsRawFd;

use event_manager::{EventOps, EventSet, Events, MutEventSubscriber};

use super::Balloon;

impl MutEventSubscriber for Balloon {
    fn init(&mut self, ops: &mut EventOps) {
        for slot in self.slots.offered() {
            if let Err(error) = ops.add(Events::new(&slot.notify, EventSet::IN)) {
                tracing::error!("the balloon will not be woken: {error}");
            }
        }
    }

    fn process(&mut self, events: Events, _ops: &mut EventOps) {
        let woken = self
            .slots
            .offered()
            .iter()
            .find(|slot| slot.notify.as_raw_fd() == events.fd());
        // Read first: what comes later wakes it again.
        if let Some(slot) = woken
            && let Err(error) = slot.notify.read()
        {
            tracing::debug!("balloon: woken for nothing: {error}");
        }
        self.serve();
    }
}
