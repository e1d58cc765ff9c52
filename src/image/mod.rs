//! `jaula images`, `jaula load`, `jaula pull`, `jaula rmi`: the images of the store.

mod choice;
mod images;
mod load;
mod pull;
mod rmi;

pub use images::images;
pub use load::load;
pub use pull::pull;
pub use rmi::rmi;
