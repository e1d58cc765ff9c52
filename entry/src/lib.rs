//! The steps from a fresh mount namespace to `execve`, the same on both sides.
//!
//! A container's child process and a guest's PID 1 both end here: devices, mounts, hostname,
//! credentials, the doorbell, the command. One piece of code does it, so the two sides can't
//! drift apart in what the command sees.

mod failure;

pub use failure::{Failure, Step};
