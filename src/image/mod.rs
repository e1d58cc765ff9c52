//! `jaula images`, `jaula load`, `jaula rmi`: the images of the store.

mod images;
mod load;
mod rmi;

pub use images::images;
pub use load::load;
pub use rmi::rmi;
