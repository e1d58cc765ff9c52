use std::fs;

use rustix::process::geteuid;

/// What this process may do to a tree, which decides what a layer becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Privileges {
    /// Whether it may give files away and set the attributes that the kernel heeds: root, be it
    /// of the host or of a user namespace that has others, too.
    pub(crate) is_root: bool,
    /// Whether its user namespace is the host's.
    pub(crate) is_host: bool,
}

impl Privileges {
    pub(crate) fn of_this_process() -> Self {
        // The first user namespace has all IDs, user_namespaces(7). Without /proc nothing is
        // unpacked anyway.
        let map = id_map("uid_map");
        Self {
            is_root: geteuid().is_root() && has_others(&map) && has_others(&id_map("gid_map")),
            is_host: map == "0 0 4294967295",
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

/// A map of this process's user namespace, its numbers one space apart and its extents joined by
/// commas.
pub(crate) fn id_map(name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
    let extents: Vec<_> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    extents.join(", ")
}

/// Whether a map has more than one ID.
fn has_others(map: &str) -> bool {
    map.contains(',')
        || map
            .rsplit(' ')
            .next()
            .is_some_and(|count| count != "1" && !count.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_of_one_id_has_no_others() {
        for (map, expected) in [
            ("0 0 4294967295", true),
            ("0 1000 1, 1 100000 65536", true),
            ("0 1000 1", false),
            ("", false),
        ] {
            assert_eq!(has_others(map), expected, "{map}");
        }
    }
}
