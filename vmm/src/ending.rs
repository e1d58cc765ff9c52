//! How a guest says that it is done with its machine.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

/// What it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// To start anew.
    Reset,
    /// To be switched off.
    PowerOff,
}

/// The line that devices pull for it, once. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct EndLine(Arc<OnceLock<Ending>>);

impl EndLine {
    /// Pulls it; what was wanted before, counts.
    pub fn pull(&self, ending: Ending) {
        // An error means that it was pulled.
        let _ = self.0.set(ending);
    }

    /// What is wanted, if it was pulled.
    pub fn pulled(&self) -> Option<Ending> {
        self.0.get().copied()
    }
}
