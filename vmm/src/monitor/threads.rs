use std::sync::mpsc::Sender;
use std::thread;

use super::event::Event;
use super::session::SessionError;
use crate::jail::{Filter, Role};

/// Bytes of stack for a thread; what of it is never touched costs nothing.
const STACK_BYTES: usize = 256 << 10;

/// Starts threads that tell what happens, and make no system calls but those of their roles.
pub(super) struct Threads<'a>(pub(super) &'a Sender<Event>);

impl Threads<'_> {
    pub(super) fn start(
        &self,
        role: Role,
        work: impl FnOnce(&Sender<Event>) + Send + 'static,
    ) -> Result<(), SessionError> {
        let events = self.0.clone();
        thread::Builder::new()
            .name(role.name().to_owned())
            .stack_size(STACK_BYTES)
            .spawn(
                move || match Filter::of(role).and_then(|filter| filter.load()) {
                    Ok(()) => work(&events),
                    Err(error) => tell(&events, Event::NotContained(error)),
                },
            )
            .map(drop)
            .map_err(SessionError::Thread)
    }
}

/// If nobody listens any more, the process is about to end.
pub(super) fn tell(events: &Sender<Event>, event: Event) {
    let _ = events.send(event);
}
