use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// As many open files as this process may have: each instance takes some of the launcher's. The
/// limit is what it was before when this is dropped.
pub(super) struct MoreFiles {
    before: Option<(u64, u64)>,
}

impl MoreFiles {
    /// Where the limit can't be changed, it stays, and a launch that lacks files fails and says so.
    pub fn allow() -> Self {
        let before = getrlimit(Resource::RLIMIT_NOFILE).ok();
        if let Some((_, hard)) = before {
            let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
        }
        Self { before }
    }
}

impl Drop for MoreFiles {
    fn drop(&mut self) {
        if let Some((soft, hard)) = self.before {
            // It was the limit before, so it may be one.
            let _ = setrlimit(Resource::RLIMIT_NOFILE, soft, hard);
        }
    }
}
