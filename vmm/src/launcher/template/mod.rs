//! Templates: machines that were saved when they waited for a workload, on a shelf of the cache.

mod key;
mod shelf;

use std::path::{Path, PathBuf};

use guest_images::{Cache, Shelf};
use launch::{Chain, Progress};

use super::blueprint::Blueprint;
use super::bootable::Bootable;
use super::error::Error;
use super::process::MonitorProcess;
use crate::machine::MachineState;
use crate::monitor::{Assignment, Job, SnapshotFiles};
use crate::snapshot::{Draft, HostIdentity, MemoryFile, StateFile, verified};
pub use shelf::{RemoveError, Template, TemplateFacts, TemplateState, Templates};

/// What a template's label says.
const LABEL: &str = "template";

/// The usable template of such a machine, if there is one.
pub(super) fn find(blueprint: &Blueprint, cache: &Cache) -> Result<Option<PathBuf>, Error> {
    let name = name(blueprint)?;
    match cache.find(Shelf::Templates, &name) {
        Some(dir) => check(&dir, &blueprint.host).map(|()| Some(dir)),
        None => Ok(None),
    }
}

/// The template of such a machine, made if there is none that can be used.
pub(super) fn find_or_make(
    blueprint: &Blueprint,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<PathBuf, Error> {
    match find(blueprint, cache) {
        Ok(Some(dir)) => return Ok(dir),
        Ok(None) => {}
        Err(why) => {
            progress.note(&format!("the template is made again: {}", Chain(&why)));
            cache.forget(Shelf::Templates, &name(blueprint)?)?;
        }
    }
    let bootable = Bootable::new(blueprint.clone(), cache, progress)?;
    let dir = cache.get_or_make(Shelf::Templates, &name(blueprint)?, progress, |dir| {
        progress.begin(&format!(
            "making a template of a virtual machine with {}, for quick starts",
            blueprint
        ));
        let made = make(&bootable, dir);
        progress.end();
        made
    })?;
    shelf::clear_stale(cache, blueprint.ring0);
    Ok(dir)
}

/// Whether a machine can go on from what is in `dir`, here and now: all but the making of it.
pub(super) fn check(dir: &Path, host: &HostIdentity) -> Result<(), Error> {
    let unusable = |source| Error::Snapshot {
        path: dir.to_owned(),
        source,
    };
    let state = StateFile::read(dir).map_err(|error| unusable(error.into()))?;
    state
        .machine::<MachineState>(host)
        .map_err(|error| unusable(error.into()))?;
    let saved = &state.description().memory;
    let memory = MemoryFile::open(dir, saved, None).map_err(|error| unusable(error.into()))?;
    verified::verify(dir, &memory, saved).map_err(|error| unusable(error.into()))
}

fn name(blueprint: &Blueprint) -> Result<String, Error> {
    let facts = blueprint.facts(LABEL);
    let key = key::of(&facts, blueprint.memory.bytes(), &blueprint.host)?;
    Ok(key.to_string())
}

/// Has a monitor make it in `dir`. No cgroup, no directory of an instance: it is no instance, and
/// ends with this process.
fn make(bootable: &Bootable, dir: &Path) -> Result<(), Error> {
    let blueprint = bootable.blueprint();
    let draft = Draft::create(dir)?;
    let [state, memory] = draft
        .files()
        .descriptors()
        .map(|file| file.try_clone_to_owned());
    let assignment = Assignment {
        launcher: nix::unistd::getpid().as_raw(),
        ring0: blueprint.ring0,
        host: blueprint.host.clone(),
        facts: blueprint.facts(LABEL),
        job: Job::MakeTemplate {
            from: Box::new(bootable.open()?),
            disks: blueprint.disks,
            into: SnapshotFiles {
                dir: dir.to_owned(),
                state: state.map_err(Error::Spawn)?,
                memory: memory.map_err(Error::Spawn)?,
            },
        },
    };
    MonitorProcess::spawn(None, assignment)?.wait_saved()?;
    Ok(draft.sync()?)
}
