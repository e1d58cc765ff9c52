use std::convert::Infallible;

use super::Block;
use crate::devices::SavedState;

impl SavedState for Block {
    /// Nothing: a disk that can't be written has answered each request that it has taken. The
    /// image need not be the same after a restore; the transport tells the driver of another
    /// size.
    type State = ();
    type Error = Infallible;

    fn save(&mut self) {}

    fn restore(&mut self, (): ()) -> Result<(), Infallible> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
