use std::cell::Cell;
use std::sync::{Arc, Mutex};

use event_manager::{EventManager, MutEventSubscriber, SubscriberId, SubscriberOps};
use vm_memory::{Bytes, GuestAddress};
use vmm::memory::GuestMemory;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::guest::MEMORY_BYTES;

type Subscriber = Arc<Mutex<dyn MutEventSubscriber + Send>>;

/// What a machine is plugged together on: guest memory, an interrupt line, and what wakes devices. To
/// make it costs more than most inputs, so a thread has one, which each input finds as if it was new.
pub(super) struct Board {
    memory: GuestMemory,
    line: EventFd,
    events: EventManager<Subscriber>,
}

thread_local! {
    static IDLE: Cell<Option<Board>> = const { Cell::new(None) };
}

impl Board {
    /// The thread's.
    pub(super) fn take() -> Self {
        let mut board = IDLE.take().unwrap_or_else(Self::new);
        let zeros = &[0; MEMORY_BYTES as usize];
        let erased = board.memory.write_slice(zeros, GuestAddress(0));
        erased.expect("memory of that size");
        // Fails if it was not raised.
        let _ = board.line.read();
        assert!(!board.wake(), "a device is left of another input");
        board
    }

    fn new() -> Self {
        Self {
            memory: vmm::memory::allocate(MEMORY_BYTES).expect("memory"),
            line: EventFd::new(EFD_NONBLOCK).expect("an eventfd"),
            events: EventManager::new().expect("an event manager"),
        }
    }

    /// Leaves it to the next input. Nothing may be plugged in any more.
    pub(super) fn give_back(self) {
        IDLE.set(Some(self));
    }

    pub(super) fn memory(&self) -> &GuestMemory {
        &self.memory
    }

    /// All that is in memory.
    pub(super) fn contents(&self) -> Vec<u8> {
        let mut contents = vec![0; MEMORY_BYTES as usize];
        let read = self.memory.read_slice(&mut contents, GuestAddress(0));
        read.expect("memory of that size");
        contents
    }

    /// What raises the interrupt.
    pub(super) fn line(&self) -> EventFd {
        self.line.try_clone().expect("a descriptor")
    }

    /// From now on a device is woken, until it is unplugged.
    pub(super) fn plug_in(&mut self, device: Subscriber) -> SubscriberId {
        self.events.add_subscriber(device)
    }

    pub(super) fn unplug(&mut self, device: SubscriberId) {
        let unplugged = self.events.remove_subscriber(device);
        unplugged.expect("one that was plugged in");
    }

    /// Has devices do what there is to do; whether there was something.
    pub(super) fn wake(&mut self) -> bool {
        match self.events.run_with_timeout(0) {
            Ok(woken) => woken > 0,
            Err(error) => panic!("the devices' thread ends: {error:?}"),
        }
    }
}
