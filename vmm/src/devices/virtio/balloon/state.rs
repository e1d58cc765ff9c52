use std::convert::Infallible;

use super::Balloon;
use crate::devices::SavedState;

impl SavedState for Balloon {
    /// Nothing: a report is dealt with when it is taken. Memory that was given back is zero, and
    /// takes no room in a snapshot.
    type State = ();
    type Error = Infallible;

    fn save(&mut self) {}

    fn restore(&mut self, (): ()) -> Result<(), Infallible> {
        Ok(())
    }
}
