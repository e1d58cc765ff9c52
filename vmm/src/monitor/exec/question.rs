use std::sync::mpsc::Sender;
use std::time::Duration;

use guest_protocol::{FromSession, ToSession, read_message, write_message};

use super::conversation::{ExecError, Shut, open};
use super::sessions::OpenSession;
use crate::monitor::event::Event;

/// Asks the guest in a session that is for nothing else, and waits so long at most for each part of the
/// conversation. `None` if the instance ends at this moment, or the guest says nothing.
pub(super) fn ask(
    events: &Sender<Event>,
    question: &ToSession,
    patience: Duration,
) -> Result<Option<FromSession>, ExecError> {
    let Some(OpenSession { mut ends, lease }) = open(events)? else {
        return Ok(None);
    };
    let _shut = Shut::of(&ends)?;
    let control = &mut ends.control;
    control.set_write_timeout(Some(patience))?;
    control.set_read_timeout(Some(patience))?;
    write_message(control, question).map_err(ExecError::Guest)?;
    let told = read_message(control).map_err(ExecError::Guest)?;
    drop(lease);
    Ok(told)
}
