use serde::{Deserialize, Serialize};

use crate::Way;

/// One thing for each way, so that none can be mistaken for another's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ways<T> {
    /// The container's.
    pub container: T,
    /// The VM's that boots.
    pub vm_cold: T,
    /// The VM's that goes on from a template.
    pub vm_warm: T,
}

impl<T> Ways<T> {
    /// Makes each way's from the way, unless one can't be made: the container's, then the warm
    /// VM's, then the cold one's.
    ///
    /// # Errors
    ///
    /// The first one of `make`.
    pub fn try_of<E>(mut make: impl FnMut(Way) -> Result<T, E>) -> Result<Self, E> {
        let container = make(Way::Container)?;
        let vm_warm = make(Way::VmWarm)?;
        let vm_cold = make(Way::VmCold)?;
        Ok(Self {
            container,
            vm_cold,
            vm_warm,
        })
    }

    /// This way's.
    pub fn get(&self, way: Way) -> &T {
        match way {
            Way::Container => &self.container,
            Way::VmCold => &self.vm_cold,
            Way::VmWarm => &self.vm_warm,
        }
    }

    /// Turns each into something else.
    pub fn map<U>(self, mut f: impl FnMut(T) -> U) -> Ways<U> {
        Ways {
            container: f(self.container),
            vm_cold: f(self.vm_cold),
            vm_warm: f(self.vm_warm),
        }
    }

    /// The same, borrowed.
    pub fn as_ref(&self) -> Ways<&T> {
        Ways {
            container: &self.container,
            vm_cold: &self.vm_cold,
            vm_warm: &self.vm_warm,
        }
    }

    /// All three, in the order in which they are shown.
    pub fn into_array(self) -> [T; 3] {
        [self.container, self.vm_cold, self.vm_warm]
    }
}
