//! `jaula wait`.

use super::stop::waiting;
use super::{Failure, World};
use crate::args::NamesArgs;
use crate::error::Error;
use crate::one_by_one::FAILED;
use crate::output;

/// Waits for the end of each, one after another, and prints its exit code.
pub fn wait(args: &NamesArgs) -> Result<u8, Error> {
    // All of them are opened first: they may end in any order, and be gone then.
    let world = World::open()?;
    let opened: Vec<_> = args
        .names
        .iter()
        .map(|name| -> Result<_, Failure> {
            let found = world.instances.find(name)?;
            Ok((waiting(&found)?, found))
        })
        .collect();
    let mut code = 0;
    for opened in opened {
        let done = opened.and_then(|(waiting, found)| {
            let unknown = || Failure::Unknown(found.record.name.clone());
            let waited = waiting.ok_or_else(unknown)?.wait();
            let status = waited.map_err(Failure::io(&found, "waited for"))?;
            let exit_code = status.ok_or_else(unknown)?.exit_code;
            Ok(output::print(&exit_code.to_string())?)
        });
        if let Err(failure) = done {
            super::print(failure);
            code = FAILED;
        }
    }
    Ok(code)
}
