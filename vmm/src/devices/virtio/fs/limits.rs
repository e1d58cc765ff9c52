use rustix::process::{Resource, getrlimit, setrlimit};

/// Descriptors that are left for all else that the process does.
const RESERVED: u64 = 256;
/// What a guest may hold at most, whatever the host's limit is: each costs the host a kibibyte or
/// two, and a guest's kernel about as much of its own memory.
const MAX_DESCRIPTORS: u64 = 1 << 20;

/// How many of the host's files a guest may hold. Each node is a descriptor, and so is each
/// handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Files that it knows of.
    pub(super) nodes: usize,
    /// Files and directories that it has open.
    pub(super) handles: usize,
}

impl Limits {
    /// For a guest that is given nothing.
    pub const NONE: Self = Self {
        nodes: 0,
        handles: 0,
    };

    /// As many as the process may have, once the soft limit is as high as the hard one.
    pub fn of_process() -> Self {
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        if let Err(errno) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!("the limit of open files stays: {errno}");
        }
        let allowed = getrlimit(Resource::Nofile).current;
        Self::of(allowed.unwrap_or(MAX_DESCRIPTORS))
    }

    fn of(descriptors: u64) -> Self {
        let usable = descriptors.saturating_sub(RESERVED).min(MAX_DESCRIPTORS) as usize;
        let handles = usable / 4;
        Self {
            nodes: usable - handles,
            handles,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monitors_own_descriptors_are_never_the_guests() {
        for (allowed, nodes, handles) in [
            (0, 0, 0),
            (256, 0, 0),
            (1024, 576, 192),
            (u64::MAX, 786_432, 262_144),
        ] {
            assert_eq!(Limits::of(allowed), Limits { nodes, handles });
        }
    }
}
