//! Pulls from a registry that misbehaves, one that this test is.

// All of it is test code, though not all of it is under `#[test]`.
#![allow(clippy::unwrap_used)]

mod hostile;
mod server;
