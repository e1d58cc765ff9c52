use std::path::PathBuf;

use launch::MountPoint;

use super::VolumeName;

/// What `-v`, `--mount` and `--tmpfs` ask for. Nothing of the host was looked at yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountRequest {
    /// What is to be shown.
    pub source: RequestedSource,
    /// Where.
    pub target: MountPoint,
    /// Whether the command may not write to it.
    pub read_only: bool,
}

/// What a mount is to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestedSource {
    /// A file or directory of the host.
    Host {
        /// As it was given: relative to where jaula was started.
        path: PathBuf,
        /// Whether a directory is made where nothing is.
        make: bool,
    },
    /// A named volume.
    Volume {
        /// Its name.
        name: VolumeName,
        /// Whether a new one gets what the image has at the target.
        copy: bool,
    },
    /// A volume without a name, for this run only.
    Anonymous,
    /// A file system in memory.
    Tmpfs {
        /// Its largest size in bytes.
        size_bytes: Option<u64>,
        /// The mode of its root.
        mode: u32,
        /// Whether programs in it may be executed.
        executable: bool,
    },
}

impl RequestedSource {
    /// A file system in memory as docker makes it: of up to half of the memory, for everybody,
    /// and without programs (`withMounts` of moby's `daemon/oci_linux.go`).
    pub(super) const TMPFS: Self = Self::Tmpfs {
        size_bytes: None,
        mode: 0o1777,
        executable: false,
    };
}
