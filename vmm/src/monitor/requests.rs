//! What other processes may want of a running instance: one asks by connecting to the socket in
//! the instance's directory, which only its owner can reach.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use launch::Chain;
use serde::{Deserialize, Serialize};

use super::event::{Event, SaveRequest};
use super::message::Reason;
use super::threads::tell;
use super::{Channel, ChannelError};

/// Name of the socket in the instance's directory.
pub(crate) const SOCKET: &str = "requests";

/// How long it takes to ask, at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// To save the machine, in the draft of a snapshot in this directory.
    Save(PathBuf),
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// It was saved, and goes on. The descriptor of its disk image comes next.
    Saved,
    /// Nothing was done.
    Failed(Reason),
    /// The instance ends at this moment.
    Ended,
}

/// Hears what one who connected wants, has it done, and answers.
pub(super) fn serve(connection: OwnedFd, events: &Sender<Event>) {
    if let Err(error) = answer(&Channel::new(connection), events) {
        tracing::debug!("a request: {}", Chain(&error));
    }
}

fn answer(asker: &Channel, events: &Sender<Event>) -> Result<(), ChannelError> {
    let Some(Request::Save(dir)) = asker.receive_within(Some(PATIENCE))? else {
        return Ok(());
    };
    let (done, result) = mpsc::channel();
    tell(events, Event::Save(SaveRequest { dir, done }));
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
