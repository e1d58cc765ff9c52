use std::fs::File;
use std::io::Seek;
use std::os::fd::AsFd;
use std::sync::mpsc::Sender;

use guest_protocol::{FromSession, ToSession, Users, read_message, write_message};
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::conversation::{ExecError, GUEST_PATIENCE, Shut, open};
use super::sessions::OpenSession;
use crate::monitor::event::Event;
use crate::monitor::{Channel, ChannelError, Reply};

/// Asks the guest what the root of its commands says of users, and tells it to `asker`.
pub(in crate::monitor) fn tell_users(
    asker: &Channel,
    events: &Sender<Event>,
) -> Result<(), ChannelError> {
    match ask(events).and_then(|users| users.map(|users| in_file(&users)).transpose()) {
        Ok(Some(file)) => {
            asker.send(&Reply::Users)?;
            Ok(asker.send_descriptors(&[file.as_fd()])?)
        }
        Ok(None) => asker.send(&Reply::Ended),
        Err(error) => asker.send(&Reply::Failed(error.reason())),
    }
}

/// `None` if the instance ends at this moment.
fn ask(events: &Sender<Event>) -> Result<Option<Users>, ExecError> {
    let Some(OpenSession { mut ends, lease }) = open(events)? else {
        return Ok(None);
    };
    let _shut = Shut::of(&ends)?;
    let control = &mut ends.control;
    control.set_write_timeout(Some(GUEST_PATIENCE))?;
    control.set_read_timeout(Some(GUEST_PATIENCE))?;
    write_message(control, &ToSession::TellUsers).map_err(ExecError::Guest)?;
    let told = read_message(control).map_err(ExecError::Guest)?;
    drop(lease);
    match told {
        Some(FromSession::Users(Ok(users))) => Ok(Some(users)),
        Some(FromSession::Users(Err(errno))) => {
            Err(ExecError::Users(std::io::Error::from_raw_os_error(errno)))
        }
        Some(_) | None => Err(ExecError::NoUsers),
    }
}

/// For more than a packet holds.
fn in_file(users: &Users) -> Result<File, ExecError> {
    let mut file = File::from(memfd_create(c"jaula-users", MFdFlags::MFD_CLOEXEC)?);
    write_message(&mut file, users).map_err(ExecError::Command)?;
    file.rewind()?;
    Ok(file)
}
