//! `jaula pause` and `jaula unpause`.

use super::{Failure, World, running};
use crate::args::NamesArgs;
use crate::error::Error;
use crate::output;

/// Lets all of each stand still, and prints its name.
pub fn pause(args: &NamesArgs) -> Result<u8, Error> {
    World::each(&args.names, |world, found| {
        running(found)?;
        if world.is_paused(found) {
            return Err(Failure::Paused(found.record.name.clone()));
        }
        world.cgroup(found)?.freeze()?;
        Ok(output::print(&found.record.name)?)
    })
}

/// Lets all of each go on, and prints its name.
pub fn unpause(args: &NamesArgs) -> Result<u8, Error> {
    World::each(&args.names, |world, found| {
        running(found)?;
        if !world.is_paused(found) {
            return Err(Failure::NotPaused(found.record.name.clone()));
        }
        world.cgroup(found)?.thaw()?;
        Ok(output::print(&found.record.name)?)
    })
}
