use launch::Side;
use serde::{Deserialize, Serialize};

/// One thing for each side, so that none can be mistaken for the other's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sides<T> {
    /// The container's.
    pub container: T,
    /// The virtual machine's.
    pub vm: T,
}

impl<T> Sides<T> {
    /// Makes each side's from its side.
    pub fn of(mut make: impl FnMut(Side) -> T) -> Self {
        Self {
            container: make(Side::Container),
            vm: make(Side::Vm),
        }
    }

    /// Makes each side's from its side, the container's first, unless one can't be made.
    ///
    /// # Errors
    ///
    /// The first one of `make`.
    pub fn try_of<E>(mut make: impl FnMut(Side) -> Result<T, E>) -> Result<Self, E> {
        Ok(Self {
            container: make(Side::Container)?,
            vm: make(Side::Vm)?,
        })
    }

    /// This side's.
    pub fn get(&self, side: Side) -> &T {
        match side {
            Side::Container => &self.container,
            Side::Vm => &self.vm,
        }
    }

    /// Turns each into something else.
    pub fn map<U>(self, mut f: impl FnMut(T) -> U) -> Sides<U> {
        Sides {
            container: f(self.container),
            vm: f(self.vm),
        }
    }

    /// The same, borrowed.
    pub fn as_ref(&self) -> Sides<&T> {
        Sides {
            container: &self.container,
            vm: &self.vm,
        }
    }
}
