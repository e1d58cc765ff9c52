//! Serves devices on the calling thread.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use event_manager::{EventManager, MutEventSubscriber, SubscriberOps};

/// A device, or whatever else waits for events.
pub(super) type Served = Arc<Mutex<dyn MutEventSubscriber>>;

/// Serves all of them until that fails.
pub(super) fn serve(all: impl IntoIterator<Item = Served>) -> event_manager::Error {
    let forever = || -> Result<Infallible, event_manager::Error> {
        let mut manager = EventManager::<Served>::new()?;
        for one in all {
            manager.add_subscriber(one);
        }
        loop {
            manager.run()?;
        }
    };
    match forever() {
        Ok(never) => match never {},
        Err(error) => error,
    }
}
