use std::fs::File;
use std::io::{self, Seek};
use std::os::fd::AsFd;
use std::sync::mpsc::Sender;

use guest_protocol::{FromSession, ToSession, Users, write_message};
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::conversation::{ExecError, GUEST_PATIENCE};
use super::question::ask;
use crate::monitor::event::Event;
use crate::monitor::{Channel, ChannelError, Reply};

/// Asks the guest what the root of its commands says of users, and tells it to `asker`.
pub(in crate::monitor) fn tell_users(
    asker: &Channel,
    events: &Sender<Event>,
) -> Result<(), ChannelError> {
    let told = ask(events, &ToSession::TellUsers, GUEST_PATIENCE);
    match told.and_then(|told| told.map(|told| in_file(&users(told)?)).transpose()) {
        Ok(Some(file)) => {
            asker.send(&Reply::Users)?;
            Ok(asker.send_descriptors(&[file.as_fd()])?)
        }
        Ok(None) => asker.send(&Reply::Ended),
        Err(error) => asker.send(&Reply::Failed(error.reason())),
    }
}

fn users(told: FromSession) -> Result<Users, ExecError> {
    match told {
        FromSession::Users(Ok(users)) => Ok(users),
        FromSession::Users(Err(errno)) => {
            Err(ExecError::Users(io::Error::from_raw_os_error(errno)))
        }
        _ => Err(ExecError::NoUsers),
    }
}

/// For more than a packet holds.
fn in_file(users: &Users) -> Result<File, ExecError> {
    let mut file = File::from(memfd_create(c"jaula-users", MFdFlags::MFD_CLOEXEC)?);
    write_message(&mut file, users).map_err(ExecError::Command)?;
    file.rewind()?;
    Ok(file)
}
