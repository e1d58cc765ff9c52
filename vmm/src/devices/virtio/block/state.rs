use std::convert::Infallible;

use super::Block;
use crate::devices::SavedState;

impl SavedState for Block {
    /// Nothing: each request that was taken was answered. What was written is the image's, and
    /// what the driver has chosen is in the transport's state. The image need not be the same
    /// after a restore; the transport tells the driver of another size.
    type State = ();
    type Error = Infallible;

    fn save(&mut self) {}

    fn restore(&mut self, (): ()) -> Result<(), Infallible> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
