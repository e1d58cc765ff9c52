use std::error::Error;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a device keeps when its machine is saved, and goes on from when it is restored.
///
/// A state is read from a file, so it is hostile like all that comes from a guest: one that makes
/// no sense is an error, no number in it makes a device panic or allocate.
pub trait SavedState {
    /// All that the guest could tell from a device that was just made.
    type State: Serialize + DeserializeOwned;
    /// Why a state can't be.
    type Error: Error + Send + Sync + 'static;

    /// The state at this moment. The device keeps it as well: what it had to take in for that
    /// from its host stays in it. It is not served by its thread between this and the moment
    /// when memory is saved too.
    fn save(&mut self) -> Self::State;

    /// Makes a device that was just made one in this state. It neither interrupts the guest nor
    /// touches its memory.
    ///
    /// # Errors
    ///
    /// When the state makes no sense, or is another device's. Then the device is of no use.
    fn restore(&mut self, state: Self::State) -> Result<(), Self::Error>;

    /// Goes on after [`SavedState::save`] or [`SavedState::restore`]: wakes the device for what
    /// it may have missed, and repeats interrupts that the guest has not seen yet. So it comes
    /// last, when interrupts lead to the guest and their controllers are restored.
    fn resume(&mut self) {}
}

/// A state can't be written down, or not be restored from that.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It can't be turned into bytes.
    #[error("the state can't be encoded")]
    Encode(#[source] postcard::Error),
    /// The bytes are no state of such a device.
    #[error("the state can't be decoded")]
    Decode(#[source] postcard::Error),
    /// There are more bytes than the state has.
    #[error("{0} bytes follow the state")]
    Trailing(usize),
    /// The device refuses it.
    #[error("the state makes no sense")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
}

/// [`SavedState`] with the state as bytes: the form in which any device can be held. Every device
/// with a saved state has it, and none else can.
pub trait StateBytes {
    /// [`SavedState::save`].
    ///
    /// # Errors
    ///
    /// When the state can't be encoded.
    fn save_bytes(&mut self) -> Result<Vec<u8>, StateError>;

    /// [`SavedState::restore`].
    ///
    /// # Errors
    ///
    /// When the bytes are no state, or the device refuses it.
    fn restore_bytes(&mut self, bytes: &[u8]) -> Result<(), StateError>;

    /// [`SavedState::resume`].
    fn resume(&mut self);
}

impl<D: SavedState> StateBytes for D {
    fn save_bytes(&mut self) -> Result<Vec<u8>, StateError> {
        postcard::to_stdvec(&self.save()).map_err(StateError::Encode)
    }

    fn restore_bytes(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let (state, rest) = postcard::take_from_bytes(bytes).map_err(StateError::Decode)?;
        if !rest.is_empty() {
            return Err(StateError::Trailing(rest.len()));
        }
        self.restore(state)
            .map_err(|cause| StateError::Refused(Box::new(cause)))
    }

    fn resume(&mut self) {
        SavedState::resume(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Even(u32);

    #[derive(Debug, thiserror::Error)]
    #[error("{0} is odd")]
    struct Odd(u32);

    impl SavedState for Even {
        type State = u32;
        type Error = Odd;

        fn save(&mut self) -> u32 {
            self.0
        }

        fn restore(&mut self, state: u32) -> Result<(), Odd> {
            match state % 2 {
                0 => self.0 = state,
                _ => return Err(Odd(state)),
            }
            Ok(())
        }
    }

    #[test]
    fn a_state_survives_as_bytes() {
        let bytes = Even(1 << 20).save_bytes().unwrap();
        let mut other = Even(0);
        other.restore_bytes(&bytes).unwrap();
        assert_eq!(other, Even(1 << 20));
    }

    #[test]
    fn bytes_that_are_no_state_are_an_error() {
        let mut device = Even(2);
        for (bytes, expected) in [
            (&[][..], "the state can't be decoded"),
            (&[4, 0], "1 bytes follow the state"),
            (&[3], "the state makes no sense"),
        ] {
            let error = device.restore_bytes(bytes).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        assert_eq!(device, Even(2));
    }
}
