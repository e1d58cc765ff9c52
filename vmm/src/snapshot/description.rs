//! What a snapshot says of itself before the machine's own state.

use launch::{CpuLimit, CpuSet, Digest, Network, NetworkRate, Resources};
use serde::{Deserialize, Serialize};

use super::{Extents, HostIdentity, PAGE_BYTES};

/// All that is to be known of a machine before it is built.
///
/// Texts and digests in it are as they were found in the file: not for a terminal unescaped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Where it may go on.
    pub host: HostIdentity,
    /// What it is.
    pub machine: MachineFacts,
    /// Its memory.
    pub memory: SavedMemory,
}

/// What a machine is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineFacts {
    /// Number of its processors.
    pub vcpus: u32,
    /// Of the kernel's file.
    pub kernel: Digest,
    /// Of the initial RAM file system that has its PID 1.
    pub init: Digest,
    /// The kernel's.
    pub command_line: String,
    /// Version of the jaula that saved it.
    pub jaula_version: String,
    /// When it was saved, in seconds since the epoch.
    pub saved_at_unix_seconds: u64,
    /// For people: what runs in it.
    pub label: String,
    /// Its network interface, if it has one.
    pub network: Option<NetworkFacts>,
    /// How much of the host's processors it may use. A copy keeps it, as those below.
    pub cpus: Option<CpuLimit>,
    /// Which of the host's processors it may use.
    pub cpuset: Option<CpuSet>,
    /// Whether its command has a terminal.
    pub has_terminal: bool,
}

impl MachineFacts {
    /// What a copy is connected to. Ports that led to the saved one lead to that.
    pub fn network_of_copy(&self) -> Network {
        match self.network {
            Some(NetworkFacts { rate }) => Network::Bridge {
                publish: Vec::new(),
                rate,
            },
            None => Network::None,
        }
    }

    /// How much of the host a copy may use, besides its memory.
    pub fn resources_of_copy(&self) -> Resources {
        Resources {
            cpus: self.cpus,
            cpuset: self.cpuset.clone(),
            ..Resources::default()
        }
    }
}

/// What a machine's network interface is, wherever it is connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkFacts {
    /// How much passes each way at most. A copy keeps it.
    pub rate: Option<NetworkRate>,
}

/// What is in a memory file. No extent reaches behind its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedMemory")]
pub struct SavedMemory {
    bytes: u64,
    extents: Extents,
    digest: Digest,
}

/// Memory that no machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("memory of {bytes} bytes is not of whole pages, or ends before its data")]
pub struct InvalidMemory {
    bytes: u64,
}

#[derive(Deserialize)]
struct UncheckedMemory {
    bytes: u64,
    extents: Extents,
    digest: Digest,
}

impl TryFrom<UncheckedMemory> for SavedMemory {
    type Error = InvalidMemory;

    fn try_from(unchecked: UncheckedMemory) -> Result<Self, InvalidMemory> {
        let UncheckedMemory {
            bytes,
            extents,
            digest,
        } = unchecked;
        Self::new(bytes, extents, digest)
    }
}

impl SavedMemory {
    pub(super) fn new(bytes: u64, extents: Extents, digest: Digest) -> Result<Self, InvalidMemory> {
        if !bytes.is_multiple_of(PAGE_BYTES) || extents.end() > bytes {
            return Err(InvalidMemory { bytes });
        }
        Ok(Self {
            bytes,
            extents,
            digest,
        })
    }

    /// Size of guest memory, and of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What of it is data; all else is zero.
    pub fn extents(&self) -> &Extents {
        &self.extents
    }

    /// SHA-256 of, for each extent, its offset, its size, and its data.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}
