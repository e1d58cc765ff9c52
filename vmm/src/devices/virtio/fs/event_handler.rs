use event_manager::{EventOps, EventSet, Events, MutEventSubscriber};

use super::{Fs, owners};

impl MutEventSubscriber for Fs {
    fn init(&mut self, ops: &mut EventOps) {
        // Called on the thread that will serve the device, which serves no other.
        owners::own_thread();
        for slot in self.slots.offered() {
            if let Err(error) = ops.add(Events::new(&slot.notify, EventSet::IN)) {
                tracing::error!("the shares will not be served: {error}");
            }
        }
    }

    fn process(&mut self, _events: Events, _ops: &mut EventOps) {
        // Whichever queue it was, both are served. Read first: what comes later wakes it again.
        for slot in self.slots.offered() {
            // The one that did not wake it has nothing to be read.
            let _ = slot.notify.read();
        }
        self.serve();
    }
}
