use std::collections::HashMap;
use std::fs::File;
use std::os::fd::OwnedFd;

use rustix::io::Errno;

/// Something that the guest has opened.
#[derive(Debug)]
pub(super) enum Handle {
    /// A regular file.
    File(File),
    Directory(OwnedFd),
}

/// All that the guest has opened, by the numbers that it calls them by.
#[derive(Debug)]
pub(super) struct Handles {
    open: HashMap<u64, Handle>,
    /// A number is never used again.
    next: u64,
    max: usize,
}

impl Handles {
    pub(super) fn new(max: usize) -> Self {
        Self {
            open: HashMap::new(),
            next: 1,
            max,
        }
    }

    /// To be asked before something is opened.
    ///
    /// # Errors
    ///
    /// `EMFILE` when the guest has opened too many.
    pub(super) fn check_room(&self) -> Result<(), Errno> {
        match self.open.len() < self.max {
            true => Ok(()),
            false => Err(Errno::MFILE),
        }
    }

    pub(super) fn add(&mut self, handle: Handle) -> u64 {
        let number = self.next;
        self.next += 1;
        self.open.insert(number, handle);
        number
    }

    /// # Errors
    ///
    /// `EBADF` when it is no open file.
    pub(super) fn file(&self, number: u64) -> Result<&File, Errno> {
        match self.open.get(&number) {
            Some(Handle::File(file)) => Ok(file),
            _ => Err(Errno::BADF),
        }
    }

    /// # Errors
    ///
    /// `EBADF` when it is no open directory.
    pub(super) fn directory(&self, number: u64) -> Result<&OwnedFd, Errno> {
        match self.open.get(&number) {
            Some(Handle::Directory(directory)) => Ok(directory),
            _ => Err(Errno::BADF),
        }
    }

    /// # Errors
    ///
    /// `EBADF` when nothing is open under this number.
    pub(super) fn any(&self, number: u64) -> Result<&Handle, Errno> {
        self.open.get(&number).ok_or(Errno::BADF)
    }

    pub(super) fn close(&mut self, number: u64) {
        self.open.remove(&number);
    }

    pub(super) fn clear(&mut self) {
        self.open = HashMap::new();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }
}
