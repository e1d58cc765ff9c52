//! The steps from a fresh mount namespace to `execve`, the same on both sides.
//!
//! A container's child process and a guest's PID 1 both end here: devices, mounts, hostname,
//! credentials, the doorbell, the command. One piece of code does it, so the two sides can't
//! drift apart in what the command sees.
//!
//! The way has two halves. [`Stage`] is all that depends neither on the command nor on its image,
//! so that a guest has it behind it before it is told either; [`Entry`] is the rest. `new` of each
//! prepares, in a process that can do anything; [`Stage::set`] and [`Entry::run`] make system
//! calls and nothing else, in a child that may not even allocate. [`Joining`] is the end of the way,
//! for a further command in a root that is there already. What is mounted is a list that
//! `plan` makes and `rootfs` works through; the rest are those two, from top to bottom.

mod action;
mod credentials;
mod descriptors;
mod devices;
mod elf_loader;
mod entry;
mod exec;
mod failure;
mod filter;
mod given_devices;
mod in_root;
mod init;
mod inner_path;
mod joining;
mod last_steps;
mod lookup;
mod magic_link;
mod masks;
mod missing_path;
mod mount_failure;
mod mounts;
mod name_files;
mod path;
mod path_bytes;
mod plan;
mod privileges;
pub mod pseudoterminal;
mod rootfs;
mod scenery;
mod signals;
mod site;
mod stage;
mod streams;
mod syscall;
mod terminal;
mod text;
mod ties;
mod working_directory;

pub use entry::{Entry, Mark, Spec};
pub use exec::Program;
pub use failure::{Failure, Step};
pub use filter::Filter;
pub use given_devices::{DeviceNode, NodePermissions};
pub use in_root::open_in_root;
pub use init::INIT_NAME;
pub use joining::{Joining, JoiningSpec};
pub use mount_failure::MountFailure;
pub use name_files::{NameFiles, NoGateway};
pub use path::InvalidPath;
pub use plan::Sysfs;
pub use privileges::{Ids, Privileges};
pub use scenery::Scenery;
pub use stage::{Stage, bring_loopback_up};
pub use ties::{Lifeline, Terminal, Ties};
