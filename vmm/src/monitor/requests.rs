//! What other processes may want of a running instance: one asks by connecting to the socket in
//! the instance's directory, which only its owner and root can reach.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use launch::{Chain, GuestMemory};
use serde::{Deserialize, Serialize};

use super::event::{Event, SaveRequest};
use super::message::Reason;
use super::threads::tell;
use super::{Channel, ChannelError, exec};
use crate::snapshot::DraftFiles;

/// Name of the socket in the instance's directory.
pub(crate) const SOCKET: &str = "requests";

/// How long it takes to ask, at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// To save the machine, in the draft of a snapshot in this directory. What comes next on the
    /// connection are the descriptors of its files: of the state and of memory.
    Save(PathBuf),
    /// To send the command this signal.
    Signal(u8),
    /// To run a further command. What comes next on the connection are descriptors: of a file with
    /// the [`Execute`](guest_protocol::Execute), and of the command's streams if it has any. From
    /// there on [`ExecWord`](super::ExecWord)s and [`ExecNews`](super::ExecNews) go back and forth.
    Exec,
    /// To tell what the root of its commands says of users.
    Users,
    /// To tell what memory its kernel has.
    Memory,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// It was saved, and goes on. The descriptor of its disk image comes next.
    Saved,
    /// A file with [`Users`](guest_protocol::Users) comes next.
    Users,
    /// What was asked for.
    Memory(GuestMemory),
    /// The signal is on its way.
    Signalled,
    /// Nothing was done.
    Failed(Reason),
    /// The instance ends at this moment.
    Ended,
}

/// Hears what one who connected wants, has it done, and answers.
pub(super) fn serve(connection: OwnedFd, events: &Sender<Event>) {
    if let Err(error) = answer(Channel::new(connection), events) {
        tracing::debug!("a request: {}", Chain(&error));
    }
}

fn answer(asker: Channel, events: &Sender<Event>) -> Result<(), ChannelError> {
    let into = match asker.receive_within(Some(PATIENCE))? {
        None => return Ok(()),
        Some(Request::Signal(number)) => {
            tell(events, Event::Signal(number));
            return asker.send(&Reply::Signalled);
        }
        Some(Request::Exec) => return exec::serve(asker, events),
        Some(Request::Users) => return exec::tell_users(&asker, events),
        Some(Request::Memory) => return exec::tell_memory(&asker, events),
        Some(Request::Save(dir)) => match files(&asker, dir)? {
            Some(files) => files,
            None => return Ok(()),
        },
    };
    let (done, result) = mpsc::channel();
    tell(events, Event::Save(SaveRequest { into, done }));
    // An error means that the instance ends at this moment.
    match result.recv() {
        Ok(Ok(disk)) => {
            asker.send(&Reply::Saved)?;
            asker.send_descriptors(&[disk.as_fd()])?;
            Ok(())
        }
        Ok(Err(reason)) => asker.send(&Reply::Failed(reason)),
        Err(_) => asker.send(&Reply::Ended),
    }
}

/// What a machine is to be saved in; `None` from one who says nothing more.
fn files(asker: &Channel, dir: PathBuf) -> Result<Option<DraftFiles>, ChannelError> {
    if !asker.is_readable_within(Some(PATIENCE))? {
        return Ok(None);
    }
    let files = asker.receive_descriptors()?.unwrap_or_default();
    let files = <[OwnedFd; 2]>::try_from(files).ok();
    Ok(files.map(|[state, memory]| DraftFiles::new(dir, state, memory)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(request: &Request) -> (Option<Reply>, Vec<Event>) {
        let (asker, theirs) = Channel::pair().unwrap();
        asker.send(request).unwrap();
        let (events, happened) = mpsc::channel();
        serve(theirs, &events);
        drop(events);
        let reply = asker.receive_within(Some(PATIENCE)).unwrap();
        (reply, happened.iter().collect())
    }

    #[test]
    fn a_signal_is_passed_on_and_that_is_said() {
        let (reply, happened) = asked(&Request::Signal(15));
        assert_eq!(reply, Some(Reply::Signalled));
        assert!(matches!(happened[..], [Event::Signal(15)]));
    }
}
