//! Launches a workload as a KVM microVM.

pub mod boot;
pub mod builder;
pub mod bus;
pub mod devices;
pub mod guest_end;
pub mod kvm;
mod last_words;
mod launcher;
pub mod layout;
pub mod memory;
mod monitor;
pub mod profile;
pub mod reset;
pub mod ring0;
pub mod vcpu;
pub mod vm;

pub use launcher::{GuestKernel, VmLauncher};
pub use monitor::{is_monitor, monitor_main};

/// KVM, or `None` where a test has to be skipped, which is said.
#[cfg(test)]
fn kvm_for_test() -> Option<kvm_ioctls::Kvm> {
    match kvm_ioctls::Kvm::new() {
        Ok(kvm) => Some(kvm),
        Err(error) => {
            eprintln!("SKIPPED: /dev/kvm can't be opened: {error}");
            None
        }
    }
}
