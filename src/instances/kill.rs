//! `jaula kill`.

use super::reach::KILL;
use super::{World, running};
use crate::args::KillArgs;
use crate::error::Error;
use crate::output;

/// Sends a signal to each, and prints its name.
pub fn kill(args: &KillArgs) -> Result<u8, Error> {
    World::each(&args.which.names, |world, found| {
        running(found)?;
        world.signal(found, args.signal.0)?;
        if args.signal.0 == KILL {
            world.let_go_on(found)?;
        }
        Ok(output::print(&found.record.name)?)
    })
}
