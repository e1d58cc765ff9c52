//! A machine on the disk: what it is made of, and where it is kept.
//!
//! A snapshot is a directory of its owner's, with three files:
//!
//! | file | holds |
//! |---|---|
//! | [`STATE`] | an [envelope] around the [`Description`] and the state of the machine |
//! | [`MEMORY`] | guest memory, each page at its place; only what is not zero takes room |
//! | [`VERIFIED`] | which `memory` the digest in `state` was found right for: may be missing |
//!
//! It is made under another name ([`Store`], or the cache for what is nobody's in particular) and
//! renamed when it is complete and on the disk, so what has a snapshot's name is all there.
//!
//! Saving: [`Draft::create`], [`DraftFiles::write_memory`], [`DraftFiles::write_state`],
//! [`Draft::sync`].
//! Restoring: [`LeaseBreaks::watch`] before there are threads, [`StateFile::read`],
//! [`MemoryFile::open`], [`verified::verify`], [`crate::memory::restore`].
//!
//! What is read here is hostile: a snapshot may come from elsewhere. And it is not worth more than
//! its owner: who may write to it may put any machine into it.

mod description;
mod draft;
pub mod envelope;
mod extents;
mod host_identity;
mod lease;
mod memory_digest;
mod memory_file;
mod regular_file;
mod save;
mod state_file;
mod store;
mod touched;
pub mod verified;

#[cfg(test)]
mod full_disk;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod sample;

pub use description::{Description, MachineFacts, NetworkFacts, SavedMemory};
pub use draft::{Draft, DraftError, DraftFiles};
pub use extents::{Extent, Extents, InvalidExtents, PAGE_BYTES};
pub use host_identity::{CpuIdentity, HostIdentity, Ring0Kind};
pub use lease::{Lease, LeaseBreaks};
pub use memory_file::{MemoryFile, MemoryFileError};
pub use save::SaveError;
pub use state_file::{StateError, StateFile};
pub use store::{SnapshotName, Store, StoreError, Unfinished};
pub use touched::AddressSpace;

/// Name of the file with everything but memory.
pub const STATE: &str = "state";
/// Name of the file with memory.
pub const MEMORY: &str = "memory";
/// Name of the file that says which memory file was verified.
pub const VERIFIED: &str = "verified";
