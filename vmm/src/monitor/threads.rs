use std::sync::mpsc::Sender;
use std::thread;

use super::event::Event;
use super::session::SessionError;

/// Bytes of stack for a thread; what of it is never touched costs nothing.
const STACK_BYTES: usize = 256 << 10;

/// Starts threads that tell what happens.
pub(super) struct Threads<'a>(pub(super) &'a Sender<Event>);

impl Threads<'_> {
    pub(super) fn start(
        &self,
        name: &str,
        work: impl FnOnce(&Sender<Event>) + Send + 'static,
    ) -> Result<(), SessionError> {
        let events = self.0.clone();
        thread::Builder::new()
            .name(name.to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || work(&events))
            .map(drop)
            .map_err(SessionError::Thread)
    }
}

/// If nobody listens any more, the process is about to end.
pub(super) fn tell(events: &Sender<Event>, event: Event) {
    let _ = events.send(event);
}
