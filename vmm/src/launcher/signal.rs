//! Signals the command of an instance that another process has launched: asks its monitor.

use std::path::Path;

use launch::InstanceId;

use super::error::Error;
use super::save::connect_to;
use crate::monitor::{Reply, Request};

/// Sends signal number `signal` to the command of the running instance `id`; to one that ends at this moment,
/// nothing.
///
/// # Errors
///
/// When there is no such instance, or its monitor does not take the signal.
pub fn signal(run_dir: &Path, id: &InstanceId, signal: u8) -> Result<(), launch::Error> {
    let monitor = connect_to(run_dir, id)?;
    monitor
        .send(&Request::Signal(signal))
        .map_err(Error::from)?;
    match monitor.receive_within(None).map_err(Error::from)? {
        Some(Reply::Failed(reason)) => Err(Error::NotSignalled {
            id: id.clone(),
            reason,
        }
        .into()),
        _ => Ok(()),
    }
}
