use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, StatxFlags, open, openat, statx};
use rustix::io::Errno;
use rustix::path::DecInt;

use crate::jail::{Jail, JailError};

/// A file or directory of the host's that a guest may use, with all that is below it.
#[derive(Debug)]
pub struct Share {
    root: OwnedFd,
    read_only: bool,
}

/// Why something can't be shared.
#[derive(Debug, thiserror::Error)]
pub enum ShareError {
    /// It can't be looked at.
    #[error("what is to be shared can't be looked at")]
    Look(#[source] io::Error),
    /// A socket, a device, a pipe or a link: what it is to the host, it can't be to a guest.
    #[error("neither a file nor a directory")]
    Special,
}

impl Share {
    /// Shares what `root`, opened with `O_PATH`, is. If `read_only`, a guest can't write to it,
    /// whatever its kernel thinks.
    ///
    /// # Errors
    ///
    /// When it is neither a regular file nor a directory.
    pub fn new(root: OwnedFd, read_only: bool) -> Result<Self, ShareError> {
        let found = statx(&root, c"", AtFlags::EMPTY_PATH, StatxFlags::TYPE)
            .map_err(|errno| ShareError::Look(errno.into()))?;
        match FileType::from_raw_mode(found.stx_mode.into()) {
            FileType::RegularFile | FileType::Directory => Ok(Self { root, read_only }),
            _ => Err(ShareError::Special),
        }
    }

    /// Shares the file or directory at `path`, where a link leads on.
    ///
    /// # Errors
    ///
    /// When it is not there, or is neither a regular file nor a directory.
    pub fn open(path: &Path, read_only: bool) -> Result<Self, ShareError> {
        let opened = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        Self::new(
            opened.map_err(|errno| ShareError::Look(errno.into()))?,
            read_only,
        )
    }

    /// Takes it into a jail.
    pub(super) fn move_into(&mut self, jail: &Jail) -> Result<(), JailError> {
        self.root = jail.detach(self.root.as_fd(), self.read_only)?;
        Ok(())
    }

    /// What was opened with `O_PATH`.
    pub fn into_root(self) -> OwnedFd {
        self.root
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.read_only
    }

    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Opens it for more than `O_PATH` allows, by way of `descriptors`, which is
    /// `/proc/self/fd`.
    pub(super) fn open_again(&self, descriptors: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        openat(
            descriptors,
            DecInt::from_fd(&self.root),
            flags,
            Mode::empty(),
        )
    }
}
