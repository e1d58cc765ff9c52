use event_manager::{EventOps, EventSet, Events, MutEventSubscriber};

use super::Block;

impl MutEventSubscriber for Block {
    fn init(&mut self, ops: &mut EventOps) {
        let [slot] = self.slots.offered();
        if let Err(error) = ops.add(Events::new(&slot.notify, EventSet::IN)) {
            tracing::error!("the disk will not be woken: {error}");
        }
    }

    fn process(&mut self, _events: Events, _ops: &mut EventOps) {
        // Its queue's eventfd is all that it waits for. Read first: what comes later wakes it
        // again.
        let [slot] = self.slots.offered();
        if let Err(error) = slot.notify.read() {
            tracing::debug!("disk: woken for nothing: {error}");
        }
        self.serve();
    }
}
