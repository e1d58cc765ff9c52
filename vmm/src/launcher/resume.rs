//! Goes on with a machine that was saved while a command ran in it.

use std::path::Path;

use host::RunDir;
use launch::{InstanceId, Prepared};

use super::error::{Error, SnapshotError};
use super::prepared::{PreparedOrigin, PreparedVm, PreparedWork};
use super::save::DISK;
use super::{host_ring0, template};
use crate::snapshot::{HostIdentity, SnapshotName, Store};

/// Checks the snapshot `name` and makes it ready to be launched, any number of times: each
/// instance goes on where the saved one was, with streams of its own, limited as that was, and with
/// a place of its own on the bridge if it had one. `id` is the name that the
/// user gave the instance.
///
/// # Errors
///
/// When there is no such snapshot, or it can't be used here.
pub fn resume(
    run_dir: &Path,
    store: &Store,
    name: &SnapshotName,
    id: Option<InstanceId>,
) -> Result<Box<dyn Prepared>, launch::Error> {
    let snapshot = store.inspect(name).map_err(Error::from)?;
    let dir = store.find(name).map_err(Error::from)?;
    let ring0 = host_ring0()?;
    let host = HostIdentity::of_host(ring0);
    template::check(&dir, &host)?;
    let disk = dir.join(DISK);
    // At a fifo one would wait for the other end.
    if !disk.symlink_metadata().is_ok_and(|found| found.is_file()) {
        let source = SnapshotError::NoDisk;
        return Err(Error::Snapshot { path: dir, source }.into());
    }
    let facts = snapshot.description().machine.clone();
    Ok(Box::new(PreparedVm {
        run: RunDir::at(run_dir)?,
        name: id,
        host_resources: facts.resources_of_copy(),
        supervised: false,
        ring0,
        host,
        network: facts.network_of_copy(),
        facts,
        disk,
        // It had none when it was saved.
        shares: Vec::new(),
        disks: Vec::new(),
        origin: PreparedOrigin::Restore(dir),
        work: PreparedWork::Running,
    }))
}
