//! Stopping all processes of a cgroup, and letting them go on.
//! (cgroup-v1/freezer-subsystem.rst; cgroup-v2.rst, `cgroup.freeze`)

use std::io::{self, ErrorKind};
use std::path::Path;

use super::control::{self, Keyed};
use super::error::Error;
use super::hierarchy::Version;
use super::patience::until_done;
use super::tree::tree;

/// Stops what runs in the cgroup `dir` and below; returns when all have stopped.
///
/// # Errors
///
/// When it is refused, or a process does not stop within seconds: then all go on.
pub(super) fn freeze(version: Version, dir: &Path) -> Result<(), Error> {
    match version {
        Version::V1 => set(dir, STATE, "FROZEN")?,
        Version::V2 => set(dir, FREEZE, "1")?,
    }
    if until_done(|| is_frozen(version, dir))? {
        return Ok(());
    }
    thaw(version, dir)?;
    Err(Error::NotFrozen(dir.to_owned()))
}

/// Lets what was stopped go on.
pub(super) fn thaw(version: Version, dir: &Path) -> Result<(), Error> {
    match version {
        Version::V1 => set(dir, STATE, "THAWED"),
        Version::V2 => set(dir, FREEZE, "0"),
    }
}

/// With version 1, a process that was stopped does not die of SIGKILL before it goes on: lets
/// everything go on that is in the cgroup `dir` or below it, if it is one with a freezer.
pub(super) fn release(dir: &Path) -> io::Result<()> {
    for cgroup in tree(dir)? {
        match control::write(&cgroup, STATE, "THAWED") {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

const STATE: &str = "freezer.state";
const FREEZE: &str = "cgroup.freeze";

fn set(dir: &Path, file: &str, value: &str) -> Result<(), Error> {
    control::write(dir, file, value).map_err(|source| Error::Freeze {
        path: dir.to_owned(),
        source,
    })
}

/// Whether all have stopped.
pub(super) fn is_frozen(version: Version, dir: &Path) -> Result<bool, Error> {
    match version {
        // To read it is what brings it from FREEZING to FROZEN.
        Version::V1 => Ok(control::read(dir, STATE)?.trim() == "FROZEN"),
        Version::V2 => Ok(Keyed::read(dir, "cgroup.events")?.get("frozen")? == 1),
    }
}
