//! The working directory, a path that the image or the user chose.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

use crate::inner_path::InnerPath;
use crate::missing_path::Missing;
use crate::syscall::{self, Result};

/// The working directory, with what is needed to make it when it is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WorkingDirectory(InnerPath);

impl WorkingDirectory {
    pub(crate) fn new(path: &CStr) -> Self {
        Self(InnerPath::new(path))
    }

    /// Makes it below `root`, and what is missing above it, if it is not there.
    pub(crate) fn make(&self, root: BorrowedFd<'_>) -> Result<()> {
        self.0.open_or_make(root, Missing::Directory).map(drop)
    }

    /// Makes it the process's own.
    pub(crate) fn enter(&self) -> Result<()> {
        let root = syscall::open_directory(c"/")?;
        let directory = self.0.open(root.as_fd(), libc::O_DIRECTORY)?;
        syscall::enter_directory(directory.as_fd())
    }
}
