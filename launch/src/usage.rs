use serde::{Deserialize, Serialize};

/// What an instance has used so far, and uses now. What can't be told is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Processor time since its start, in nanoseconds.
    pub cpu_ns: Option<u64>,
    /// Memory now, without cached files that are not in use: docker's figure.
    pub memory_bytes: Option<u64>,
    /// What memory is limited to.
    pub memory_limit_bytes: Option<u64>,
    /// Processes and threads now.
    pub pids: Option<u64>,
    /// Read from block devices since its start.
    pub block_read_bytes: Option<u64>,
    /// Written to block devices since its start.
    pub block_written_bytes: Option<u64>,
    /// Received from the network since its start.
    pub network_received_bytes: Option<u64>,
    /// Sent to the network since its start.
    pub network_sent_bytes: Option<u64>,
}
