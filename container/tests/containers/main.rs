//! Containers that are really launched, through the interface, on a root made from busybox.
//!
//! As root they have no user namespace, as an ordinary user they do: run them as both.

// Clippy knows test functions, but not that all of this file is a test.
#![allow(clippy::unwrap_used)]

mod command;
mod devices;
mod exec;
mod isolation;
mod leftovers;
mod limits;
mod mounts;
mod network;
mod root;
mod signals;
mod ulimits;
mod world;
