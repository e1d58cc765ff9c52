use serde::{Deserialize, Serialize};

/// Where the figures of a [`Footprint`] were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Charge {
    /// The instance's memory cgroup, version 1.
    CgroupV1,
    /// The instance's cgroup, version 2.
    CgroupV2,
}

/// What an instance costs the host in memory: everything charged to the one cgroup that holds
/// the container's processes, or the monitor with its guest's memory. In bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footprint {
    /// Where the figures were read.
    pub charge: Charge,
    /// Charged now.
    pub current_bytes: u64,
    /// The most that was charged at any time.
    pub peak_bytes: u64,
    /// Anonymous and shared memory now, guest memory and tmpfs files included: can't be
    /// reclaimed without swap.
    pub anon_bytes: u64,
    /// Page cache of files on disk now, which the kernel may take back.
    pub file_bytes: u64,
    /// Memory of the kernel's own for the instance: page tables, stacks, slab.
    pub kernel_bytes: u64,
    /// Of that, the page tables of its processes. `None` where the kernel tells no more than the sum, as
    /// version 1 does.
    pub page_tables_bytes: Option<u64>,
    /// Of that, KVM's page tables of guest memory (`sec_pagetables`). `None` likewise, and before Linux 6.1.
    pub kvm_page_tables_bytes: Option<u64>,
}

impl Footprint {
    /// The headline figure: what the host can't take back.
    pub fn unreclaimable_bytes(&self) -> u64 {
        self.anon_bytes + self.kernel_bytes
    }
}
