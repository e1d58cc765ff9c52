//! Holds the devices' thread between two of its turns while a machine is saved: what it moved
//! after the devices' state was taken would be in memory and not in the state.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};

use event_manager::{EventOps, EventSet, Events, MutEventSubscriber};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

/// The devices' side: one more of what its thread serves.
pub(super) struct Gate {
    bell: EventFd,
    stopped: Sender<()>,
    opened: Receiver<()>,
}

/// The other side.
pub(super) struct GateKeeper {
    bell: EventFd,
    stopped: Receiver<()>,
    open: Sender<()>,
}

/// While it lives, the thread stands still.
pub(super) struct Held<'a>(&'a GateKeeper);

/// Makes both sides.
pub(super) fn gate() -> io::Result<(Gate, GateKeeper)> {
    let bell = EventFd::new(EFD_NONBLOCK)?;
    let (stopped_sender, stopped) = mpsc::channel();
    let (open, opened) = mpsc::channel();
    Ok((
        Gate {
            bell: bell.try_clone()?,
            stopped: stopped_sender,
            opened,
        },
        GateKeeper {
            bell,
            stopped,
            open,
        },
    ))
}

impl GateKeeper {
    /// Waits until the thread stands still; `None` if it has ended.
    pub(super) fn hold(&self) -> io::Result<Option<Held<'_>>> {
        self.bell.write(1)?;
        Ok(self.stopped.recv().ok().map(|()| Held(self)))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // If the thread has ended, there is nobody to let go on.
        let _ = self.0.open.send(());
    }
}

impl MutEventSubscriber for Gate {
    fn init(&mut self, ops: &mut EventOps) {
        if let Err(error) = ops.add(Events::new(&self.bell, EventSet::IN)) {
            tracing::error!("the devices can't be held: {error}");
        }
    }

    fn process(&mut self, _events: Events, _ops: &mut EventOps) {
        if let Err(error) = self.bell.read() {
            return tracing::debug!("gate: woken for nothing: {error}");
        }
        if self.stopped.send(()).is_ok() {
            // An error means that nobody is left who could open.
            let _ = self.opened.recv();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, Mutex};
    use std::thread;
    use std::time::Duration;

    use event_manager::{EventManager, SubscriberOps};

    use super::*;

    /// Counts its turns.
    struct Busy(EventFd, Arc<AtomicU32>);

    impl MutEventSubscriber for Busy {
        fn init(&mut self, ops: &mut EventOps) {
            ops.add(Events::new(&self.0, EventSet::IN)).unwrap();
        }

        fn process(&mut self, _events: Events, _ops: &mut EventOps) {
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_thread_that_is_held_does_nothing_and_then_goes_on() {
        let (gate, keeper) = gate().unwrap();
        let turns = Arc::new(AtomicU32::new(0));
        // Always readable, so its turns never end.
        let busy = Busy(EventFd::new(0).unwrap(), turns.clone());
        busy.0.write(1).unwrap();
        thread::spawn(move || {
            let mut manager = EventManager::<Arc<Mutex<dyn MutEventSubscriber>>>::new().unwrap();
            manager.add_subscriber(Arc::new(Mutex::new(busy)));
            manager.add_subscriber(Arc::new(Mutex::new(gate)));
            loop {
                manager.run().unwrap();
            }
        });
        for _ in 0..3 {
            let held = keeper.hold().unwrap().unwrap();
            let before = turns.load(Ordering::SeqCst);
            thread::sleep(Duration::from_millis(5));
            assert_eq!(turns.load(Ordering::SeqCst), before);
            drop(held);
            while turns.load(Ordering::SeqCst) == before {
                thread::yield_now();
            }
        }
    }

    #[test]
    fn a_thread_that_has_ended_is_not_waited_for() {
        let (gate, keeper) = gate().unwrap();
        drop(gate);
        assert!(keeper.hold().unwrap().is_none());
    }
}
