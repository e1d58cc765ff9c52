use std::convert::Infallible;

use super::Net;
use crate::devices::SavedState;

impl SavedState for Net {
    /// Nothing: a frame that waits for room in the guest is lost, as frames may be. What the
    /// driver has chosen is in the transport's state.
    type State = ();
    type Error = Infallible;

    fn save(&mut self) {}

    fn restore(&mut self, (): ()) -> Result<(), Infallible> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
