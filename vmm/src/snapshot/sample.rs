//! A snapshot for tests.

use launch::Digest;

use super::{CpuIdentity, Description, HostIdentity, MachineFacts, Ring0Kind, SavedMemory};

/// This host's processor, with an emulated ring 0.
pub fn host() -> HostIdentity {
    HostIdentity {
        cpu: CpuIdentity::of_host(),
        ring0: Ring0Kind::Emulated,
    }
}

/// Of a machine with `memory`.
pub fn description(memory: SavedMemory) -> Description {
    Description {
        host: host(),
        machine: MachineFacts {
            vcpus: 1,
            kernel: Digest::from_bytes(&[2; 32]),
            init: Digest::from_bytes(&[3; 32]),
            command_line: "quiet panic=-1".into(),
            jaula_version: "0.1.0".into(),
            saved_at_unix_seconds: 1,
            label: "a shell".into(),
        },
        memory,
    }
}
