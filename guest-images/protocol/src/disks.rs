use entry::NodePermissions;
use launch::MountPoint;
use serde::{Deserialize, Serialize};

/// The how manieth of the guest's virtio devices, from 0 on, the first of its disks is besides that
/// of its root. The others follow.
pub const FIRST_DISK_PLACE: u8 = 6;

/// A disk that the command has as a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Where its node is.
    pub target: MountPoint,
    /// Who may open that.
    pub permissions: NodePermissions,
}
