use std::io;
use std::sync::mpsc::Sender;
use std::time::Duration;

use guest_protocol::{FromSession, ToSession};
use launch::GuestMemory;

use super::conversation::ExecError;
use super::question::ask;
use crate::monitor::event::Event;
use crate::monitor::{Channel, ChannelError, Reply};

/// How long a guest may take to answer: one whose kernel is emulated, some tenths of a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the guest what memory it has, and tells it to `asker`.
pub(in crate::monitor) fn tell_memory(
    asker: &Channel,
    events: &Sender<Event>,
) -> Result<(), ChannelError> {
    let told = ask(events, &ToSession::TellMemory, PATIENCE);
    asker.send(&match told.and_then(|told| told.map(memory).transpose()) {
        Ok(Some(memory)) => Reply::Memory(memory),
        Ok(None) => Reply::Ended,
        Err(error) => Reply::Failed(error.reason()),
    })
}

/// No guest has more left than it has.
fn memory(told: FromSession) -> Result<GuestMemory, ExecError> {
    match told {
        FromSession::Memory(Ok(memory)) if memory.left_bytes <= memory.granted_bytes => Ok(memory),
        FromSession::Memory(Err(errno)) => {
            Err(ExecError::Memory(io::Error::from_raw_os_error(errno)))
        }
        _ => Err(ExecError::NoMemory),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_is_not_told() {
        let of = |granted_bytes, left_bytes| {
            memory(FromSession::Memory(Ok(GuestMemory {
                granted_bytes,
                left_bytes,
            })))
        };
        assert!(of(5, 5).is_ok());
        assert!(matches!(of(5, 6), Err(ExecError::NoMemory)));
        let failed = memory(FromSession::Memory(Err(libc::ENOENT)));
        assert!(matches!(failed, Err(ExecError::Memory(_))));
        assert!(matches!(
            memory(FromSession::Executed),
            Err(ExecError::NoMemory)
        ));
    }
}
