//! What the host gives an instance: its cgroup and its directory.
//!
//! - [`RunDir`] is where instances keep what must be cleared after them; [`InstanceDir`] is one
//!   instance's own, locked while it lives. What a crashed run left is swept by the next one.
//! - [`InstanceDir::make_cgroup`] makes the [`Cgroup`] that limits and measures the instance.
//! - [`instances`] is what others than its owner find in an instance's directory.
//! - [`packet_filter`] removes the rules that an instance's network needs.
//! - [`locked`] keeps what is made, used and removed from being found by half.
//! - [`paths`] says where state and cache are.
//! - [`capacity`] refuses limits that are above what the host has.
//! - [`pidfd`] signals processes.
//! - [`user_namespace`] gives an ordinary user more users and groups than its own.
//! - [`facts`] tells `jaula doctor` what the host offers.

pub mod capacity;
pub mod cgroup;
pub mod facts;
pub mod instances;
pub mod locked;
pub mod packet_filter;
pub mod paths;
pub mod pidfd;
pub mod rundir;
pub mod search_path;
pub mod user_namespace;
pub mod whole_file;

pub use cgroup::{Cgroup, Placement};
pub use rundir::{InstanceDir, RunDir};
