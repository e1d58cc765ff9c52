//! Launches a workload as a KVM microVM.
//!
//! Two processes do it. The *launcher* is whoever uses [`VmLauncher`]: it finds kernel and disk
//! image, and starts, for each machine, a *monitor*: the same executable again, which must call
//! [`monitor_main`] where [`is_monitor`] says so. The monitor builds the machine and runs it.
//!
//! A newcomer reads [`builder`] first, the boot recipe from top to bottom, and from there:
//!
//! - [`memory`], [`layout`]: guest memory, and what lies where in it.
//! - [`vm`], [`vcpu`]: the KVM objects, and the loop that runs the guest.
//! - [`bus`], [`devices`], [`reset`], [`power`]: what the guest's accesses reach.
//! - [`boot`]: the kernel, and what it finds in memory when it starts.
//! - `monitor`, `launcher`: the two processes. `jail`: what the first of them may still do.
//! - [`kvm`], [`ring0`], [`floor`]: what the host offers, found out with a [`probe`]. Some hosts
//!   emulate a guest's ring 0.
//! - [`snapshot`]: a machine on the disk.
//! - [`profile`]: where a booting kernel spends its time.
//! - [`guest_end`]: why a guest ended that should not have.

pub mod boot;
pub mod builder;
pub mod bus;
pub mod devices;
pub mod ending;
pub mod floor;
pub mod guest_end;
pub mod jail;
pub mod kvm;
mod last_words;
mod launcher;
pub mod layout;
pub mod machine;
pub mod memory;
mod monitor;
pub mod power;
pub mod probe;
pub mod profile;
pub mod reset;
pub mod ring0;
pub mod snapshot;
pub mod vcpu;
pub mod vm;

pub use boot::cmdline::{InvalidParameters, KernelParameters};
pub use launcher::{
    DEFAULT_MEMORY, GuestBoot, GuestKernel, LentGuest, RemoveError, RunningVm, StartMode, Template,
    TemplateFacts, TemplateState, Templates, UserFiles, VmLauncher, resume, save, signal,
};
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
