//! Launches a workload as a KVM microVM.

pub mod bus;
pub mod layout;
pub mod memory;
