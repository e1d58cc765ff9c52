use std::convert::Infallible;

use super::Rng;
use crate::devices::SavedState;

impl SavedState for Rng {
    /// Nothing: an answer is made when it is asked for. What the driver has been given and has
    /// not used is in guest memory, the same in all who go on from there: it does no more than
    /// stir the generator, which each of them has reseeded.
    type State = ();
    type Error = Infallible;

    fn save(&mut self) {}

    fn restore(&mut self, (): ()) -> Result<(), Infallible> {
        Ok(())
    }
}
