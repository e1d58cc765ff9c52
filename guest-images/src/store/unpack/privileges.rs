use std::fs;

use rustix::process::geteuid;

/// What this process may do to a tree, which decides what a layer becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Privileges {
    /// Whether it may give files away and set the attributes that the kernel heeds: root, be it
    /// of the host or of a user namespace.
    pub(crate) is_root: bool,
    /// Whether its user namespace is the host's.
    pub(crate) is_host: bool,
}

impl Privileges {
    pub(crate) fn of_this_process() -> Self {
        // The first user namespace has all IDs, user_namespaces(7). Without /proc nothing is
        // unpacked anyway.
        let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        Self {
            is_root: geteuid().is_root(),
            is_host: map.split_whitespace().eq(["0", "0", "4294967295"]),
        }
    }

    /// The attribute by which overlayfs knows a directory that hides those beneath it: that of
    /// mounts with `userxattr` for all but the host's root, as only that one may set the other
    /// (Documentation/filesystems/overlayfs.rst, "User xattr").
    pub(crate) fn opaque_attribute(self) -> &'static str {
        if self.is_root && self.is_host {
            "trusted.overlay.opaque"
        } else {
            "user.overlay.opaque"
        }
    }
}
