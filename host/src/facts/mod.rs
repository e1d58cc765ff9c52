//! What the host offers, for `jaula doctor` and a launcher's probe. Changes nothing.

mod cgroups;
mod namespaces;

pub use cgroups::cgroups;
pub use namespaces::namespaces;
