use std::fmt;

use serde::{Deserialize, Serialize};

/// 64 random bytes of the host's, for a guest that must not go on with the random numbers of the
/// machine that it is a copy of.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
// Two halves, since serde knows no array of more than 32 elements.
pub struct Entropy([[u8; 32]; 2]);

impl Entropy {
    /// What `fill` makes of it.
    ///
    /// # Errors
    ///
    /// When `fill` fails.
    pub fn filled<E>(fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut halves = [[0; 32]; 2];
        fill(halves.as_flattened_mut())?;
        Ok(Self(halves))
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_flattened()
    }
}

/// Says nothing: they are secret.
impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_is_filled_and_sent() {
        let made = Entropy::filled(|bytes| {
            bytes.iter_mut().zip(1..).for_each(|(byte, n)| *byte = n);
            Ok::<_, ()>(())
        });
        let sent = postcard::to_stdvec(&made.unwrap()).unwrap();
        let received: Entropy = postcard::from_bytes(&sent).unwrap();
        assert_eq!(received.bytes(), (1..=64).collect::<Vec<u8>>());
    }

    #[test]
    fn it_is_never_shown() {
        let made = Entropy::filled(|_| Ok::<_, ()>(())).unwrap();
        assert_eq!(format!("{made:?}"), "Entropy");
    }
}
