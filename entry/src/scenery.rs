use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::action::Filesystem;
use crate::plan;

/// What a [`crate::Stage`] has become, in the process that set it.
pub struct Scenery {
    /// The stage's directory.
    pub(crate) stage: OwnedFd,
    /// In the order of [`plan::TOP_LEVEL`].
    pub(crate) mounts: [OwnedFd; plan::TOP_LEVEL.len()],
}

impl Scenery {
    /// The file system that becomes `/dev`.
    pub(crate) fn dev(&self) -> BorrowedFd<'_> {
        let [_proc, _sys, dev] = &self.mounts;
        dev.as_fd()
    }

    /// What is to be moved into the root: what it is, and its mount.
    pub(crate) fn mounts(&self) -> impl Iterator<Item = (&'static Filesystem, BorrowedFd<'_>)> {
        plan::TOP_LEVEL
            .into_iter()
            .zip(self.mounts.iter().map(AsFd::as_fd))
    }
}
