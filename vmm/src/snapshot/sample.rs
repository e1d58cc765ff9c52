//! A snapshot for tests.

use launch::Digest;
use nix::sys::signal::{SigHandler, Signal, signal};

use super::{
    CpuIdentity, Description, HostIdentity, LeaseBreaks, MachineFacts, Ring0Kind, SavedMemory,
};

/// For a test, which is one thread of many that don't block the signal. A process that another
/// test just forked may hold a lease for longer than its test.
pub fn breaks() -> LeaseBreaks {
    // SAFETY: no handler of ours is installed.
    unsafe { signal(Signal::SIGIO, SigHandler::SigIgn) }.unwrap();
    LeaseBreaks::watch().unwrap()
}

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
            network: None,
            cpus: None,
            cpuset: None,
            has_terminal: false,
            label: "a shell".into(),
        },
        memory,
    }
}
