//! Asks a guest of ours what memory it has.

use std::path::Path;
use std::time::Duration;

use host::InstanceDir;
use launch::GuestMemory;

use super::error::Error;
use super::save::connect_to;
use crate::monitor::{Reply, Request};

/// A monitor that has not answered by then does not get an answer of its guest.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks that of the instance in `dir`, through its monitor.
pub(super) fn ask_memory(dir: &InstanceDir) -> Result<GuestMemory, Error> {
    let (id, run_dir) = (dir.id(), dir.path().parent().unwrap_or(Path::new("/")));
    let monitor = connect_to(run_dir, id)?;
    monitor.send(&Request::Memory)?;
    match monitor.receive_within(Some(PATIENCE))? {
        Some(Reply::Memory(memory)) => Ok(memory),
        Some(Reply::Failed(reason)) => Err(Error::NotTold {
            id: id.clone(),
            reason,
        }),
        _ => Err(Error::NotRunning(id.clone())),
    }
}
