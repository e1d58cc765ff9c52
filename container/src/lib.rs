//! Launches a workload as a Linux container.
//!
//! [`ContainerLauncher`] is the way in. A launch makes the instance's directory and cgroup, then
//! one child process in new namespaces, which mounts its root and becomes the command: nothing
//! is started twice, and nothing runs beside the command. What the child does on the way is
//! `entry`'s; it reports the moments and a failure through memory that it shares with its parent,
//! and a pipe that `execve` closes says when to look.
//!
//! [`RunningContainer`] is the way into one that another process has launched.

mod capabilities;
mod cgroup;
mod clone;
mod command;
mod devices;
mod errand;
mod error;
mod gate;
mod instance;
mod launcher;
mod namespaces;
mod network;
mod own_program;
mod probe;
mod process;
mod procfs;
mod report;
mod running;
mod scratch;
mod sealed;
mod seccomp;
mod surface;
mod terminal;

pub use error::Error;
pub use launcher::ContainerLauncher;
pub use own_program::protect_own_program;
pub use running::{RunningContainer, Target};

/// Whether a filter can be made of a seccomp profile: to be fuzzed.
#[doc(hidden)]
pub fn is_seccomp_profile(json: &str) -> bool {
    let profile = launch::Seccomp::Profile(json.into());
    seccomp::filter(&profile, launch::CapabilitySet::default()).is_ok()
}
