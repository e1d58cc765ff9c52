use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Statx};
use rustix::io::Errno;

use super::wire::ROOT_NODE;

/// What makes a file the same as another, as long as one of them is open.
///
/// The mount is a part of it: one file may be shared twice, or be seen on two mounts of which one
/// is read-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    share: usize,
    mount: u64,
    device: (u32, u32),
    inode: u64,
}

impl Identity {
    pub(super) fn new(share: usize, found: &Statx) -> Self {
        Self {
            share,
            mount: found.stx_mnt_id,
            device: (found.stx_dev_major, found.stx_dev_minor),
            inode: found.stx_ino,
        }
    }
}

/// A file of the host's that the guest knows of.
#[derive(Debug)]
pub(super) struct Node {
    /// Opened with `O_PATH`: it can't be read or written, and nothing happens to a device or a
    /// pipe.
    file: OwnedFd,
    identity: Identity,
    kind: FileType,
    /// How often the guest was told of it and has not forgotten that.
    lookups: u64,
}

impl Node {
    pub(super) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    pub(super) fn kind(&self) -> FileType {
        self.kind
    }

    /// Which of the shares it is in.
    pub(super) fn share(&self) -> usize {
        self.identity.share
    }
}

/// All files that the guest knows of, by the numbers that it calls them by.
#[derive(Debug)]
pub(super) struct Nodes {
    by_number: HashMap<u64, Node>,
    numbers: HashMap<Identity, u64>,
    /// A number is never used again.
    next: u64,
    max: usize,
}

impl Nodes {
    pub(super) fn new(max: usize) -> Self {
        Self {
            by_number: HashMap::new(),
            numbers: HashMap::new(),
            next: ROOT_NODE + 1,
            max,
        }
    }

    /// # Errors
    ///
    /// `ESTALE` when the guest was never told of it, or has forgotten it.
    pub(super) fn get(&self, number: u64) -> Result<&Node, Errno> {
        self.by_number.get(&number).ok_or(Errno::STALE)
    }

    /// To be asked before a file is made.
    ///
    /// # Errors
    ///
    /// `ENFILE` when the guest knows of too many.
    pub(super) fn check_room(&self) -> Result<(), Errno> {
        match self.by_number.len() < self.max {
            true => Ok(()),
            false => Err(Errno::NFILE),
        }
    }

    /// The number of a file of which the guest is told now; `file` is kept if it is new.
    ///
    /// # Errors
    ///
    /// `ENFILE` when it knows of too many.
    pub(super) fn tell(
        &mut self,
        identity: Identity,
        kind: FileType,
        file: OwnedFd,
    ) -> Result<u64, Errno> {
        if let Some(&number) = self.numbers.get(&identity)
            && let Some(node) = self.by_number.get_mut(&number)
        {
            node.lookups = node.lookups.saturating_add(1);
            return Ok(number);
        }
        self.check_room()?;
        let number = self.next;
        self.next += 1;
        self.numbers.insert(identity, number);
        self.by_number.insert(
            number,
            Node {
                file,
                identity,
                kind,
                lookups: 1,
            },
        );
        Ok(number)
    }

    /// The guest has forgotten that it was told so many times.
    pub(super) fn forget(&mut self, number: u64, lookups: u64) {
        let Some(node) = self.by_number.get_mut(&number) else {
            return;
        };
        node.lookups = node.lookups.saturating_sub(lookups);
        if node.lookups == 0
            && let Some(node) = self.by_number.remove(&number)
        {
            self.numbers.remove(&node.identity);
        }
    }

    pub(super) fn clear(&mut self) {
        self.by_number = HashMap::new();
        self.numbers = HashMap::new();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_number.len()
    }
}
