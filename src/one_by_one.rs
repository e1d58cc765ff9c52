//! Commands that take several things, as docker's do: what fails with one is said, and the rest is
//! done all the same.

use crate::error::{self, Error};

/// What docker exits with when it could not do it with one of them or more.
pub const FAILED: u8 = 1;

/// Does something with each; the exit code is 1 if anything failed.
pub fn each<T>(things: &[T], mut act: impl FnMut(&T) -> Result<(), Error>) -> u8 {
    let mut code = 0;
    for thing in things {
        if let Err(error) = act(thing) {
            error::print(&error);
            code = FAILED;
        }
    }
    code
}
