use serde::{Deserialize, Serialize};

/// Memory as a guest's kernel sees it, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestMemory {
    /// What it manages: what the machine has, without the kernel itself and what describes the rest
    /// (`MemTotal`, proc_meminfo(5)).
    pub granted_bytes: u64,
    /// What of that programs could still have without swap, caches that can be dropped among it
    /// (`MemAvailable`).
    pub left_bytes: u64,
}
