//! What takes hostile bytes, a file each.

pub mod archive;
pub mod balloon;
pub mod block;
pub mod bus;
pub mod documents;
pub mod doorbell;
pub mod fs;
pub mod layer;
pub mod net;
pub mod protocol;
pub mod rng;
pub mod seccomp;
pub mod serial;
pub mod snapshot;
pub mod vsock;

mod canary;
