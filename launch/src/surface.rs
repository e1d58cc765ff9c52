use serde::{Deserialize, Serialize};

/// What of the host's kernel can be reached from an instance: counts, and never a score. On the
/// container's side it is the command that reaches it; on a VM's the monitor, once a guest has
/// broken into that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surface {
    /// Whether the command's own system calls are served by the host's kernel.
    pub is_kernel_shared: bool,
    /// How many of its system calls are allowed, some of them with certain arguments only; `None`
    /// if all are.
    pub allowed_calls: Option<usize>,
    /// How many of KVM's ioctls are allowed.
    pub kvm_ioctls: usize,
    /// How many devices jaula emulates. The kernel's own interrupt controllers and timers are not
    /// among them.
    pub emulated_devices: usize,
    /// How many capabilities there are, `capabilities(7)`.
    pub capabilities: usize,
    /// How many namespaces of its own it has, `namespaces(7)`.
    pub namespaces: usize,
}
