//! `jaula rm`.

use super::reach::KILL;
use super::{Failure, World};
use crate::args::RmArgs;
use crate::error::Error;
use crate::output;

/// Removes what is kept of each, and prints its name.
pub fn rm(args: &RmArgs) -> Result<u8, Error> {
    World::each(&args.which.names, |world, found| {
        if found.is_running() {
            if !args.force {
                return Err(Failure::Running(found.record.name.clone()));
            }
            world.end(found, KILL, Some(0))?;
        }
        // Of one that is not kept nothing is left by now; of another, somebody else may have
        // removed it.
        world.run.remove(found.directory())?;
        Ok(output::print(&found.record.name)?)
    })
}
