//! The machine's devices, a folder each.
//!
//! A device knows neither KVM nor the machine it is in. It answers to accesses of its registers
//! ([`crate::bus`]), it is woken by descriptors (as an event manager's subscriber), and it raises
//! its interrupt by writing to an eventfd. So a test can drive each of them with nothing but
//! memory.
//!
//! Every device has a [saved state](SavedState): it is saved with its machine and goes on in
//! another. The [bus](crate::bus) takes no device without.
//!
//! Whatever comes from the guest is hostile: any offset, any width, any value, any descriptor.
//! Where a device can't make sense of it, it says so in a debug line and goes on.

pub mod doorbell;
mod saved_state;
pub mod serial;
pub mod virtio;

pub use saved_state::{SavedState, StateBytes, StateError};
