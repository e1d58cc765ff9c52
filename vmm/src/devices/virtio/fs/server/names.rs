//! What is done to names in directories.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use rustix::fs::{
    AtFlags, Dev, FileType, Mode, RenameFlags, linkat, mkdirat, mknodat, readlinkat_raw,
    renameat_with, symlinkat, unlinkat,
};
use rustix::io::Errno;
use rustix::path::DecInt;

use super::{Done, Server, duplicate, open_below};
use crate::devices::virtio::fs::name::Name;
use crate::devices::virtio::fs::owners::Owner;
use crate::devices::virtio::fs::wire::ROOT_NODE;

/// Longest target of a symbolic link, in bytes (`PATH_MAX`).
const MAX_TARGET_BYTES: usize = 4096;
/// The bits of a mode that can be given to a file.
pub(super) const MODE_BITS: u32 = 0o7777;

impl Server {
    pub(super) fn look_up(&mut self, directory: u64, name: Name<'_>) -> Result<Done, Errno> {
        if directory == ROOT_NODE {
            return self.look_up_share(name);
        }
        let directory = self.nodes.get(directory)?;
        let share = directory.share();
        let file = open_below(directory.file(), name.as_c_str())?;
        self.tell(share, file)
    }

    /// The root has the shares, called by their numbers.
    fn look_up_share(&mut self, name: Name<'_>) -> Result<Done, Errno> {
        let number: Option<usize> = name.as_c_str().to_str().ok().and_then(|n| n.parse().ok());
        let number = number.ok_or(Errno::NOENT)?;
        let share = self.shares.get(number).ok_or(Errno::NOENT)?;
        let file = duplicate(share.root())?;
        self.tell(number, file)
    }

    pub(super) fn read_link(&mut self, node: u64) -> Result<Done, Errno> {
        let node = self.nodes.get(node)?;
        if node.kind() != FileType::Symlink {
            return Err(Errno::INVAL);
        }
        self.answer.reserve(MAX_TARGET_BYTES);
        readlinkat_raw(
            node.file(),
            c"",
            rustix::buffer::spare_capacity(&mut self.answer),
        )?;
        Ok(Done::Answer)
    }

    pub(super) fn make_link(
        &mut self,
        directory: u64,
        owner: Owner,
        name: Name<'_>,
        target: &CStr,
    ) -> Result<Done, Errno> {
        self.make(directory, owner, name, 0, |directory, name| {
            symlinkat(target, directory, name)
        })
    }

    /// A file, a pipe or a socket. A device would be one on the host, too, where somebody may
    /// open it.
    pub(super) fn make_node(
        &mut self,
        directory: u64,
        owner: Owner,
        name: Name<'_>,
        mode: u32,
        umask: u32,
    ) -> Result<Done, Errno> {
        let kind = match FileType::from_raw_mode(mode) {
            kind @ (FileType::RegularFile | FileType::Fifo | FileType::Socket) => kind,
            FileType::CharacterDevice | FileType::BlockDevice => return Err(Errno::PERM),
            _ => return Err(Errno::INVAL),
        };
        let mode = Mode::from_raw_mode(mode & MODE_BITS);
        self.make(directory, owner, name, umask, |directory, name| {
            mknodat(directory, name, kind, mode, Dev::default())
        })
    }

    pub(super) fn make_directory(
        &mut self,
        directory: u64,
        owner: Owner,
        name: Name<'_>,
        mode: u32,
        umask: u32,
    ) -> Result<Done, Errno> {
        let mode = Mode::from_raw_mode(mode & MODE_BITS);
        self.make(directory, owner, name, umask, |directory, name| {
            mkdirat(directory, name, mode)
        })
    }

    fn make(
        &mut self,
        directory: u64,
        owner: Owner,
        name: Name<'_>,
        umask: u32,
        make: impl FnOnce(BorrowedFd<'_>, &CStr) -> Result<(), Errno>,
    ) -> Result<Done, Errno> {
        let directory = self.writable(directory)?;
        self.nodes.check_room()?;
        let name = name.as_c_str();
        self.owners
            .make_for(owner, umask, || make(directory.file(), name))?;
        let share = directory.share();
        // Somebody of the host's may have put another file there already: then it is that one.
        let file = open_below(directory.file(), name)?;
        self.tell(share, file)
    }

    pub(super) fn remove(
        &mut self,
        directory: u64,
        name: Name<'_>,
        flags: AtFlags,
    ) -> Result<Done, Errno> {
        unlinkat(self.writable(directory)?.file(), name.as_c_str(), flags)?;
        Ok(Done::Answer)
    }

    pub(super) fn rename(
        &mut self,
        (directory, name): (u64, Name<'_>),
        (new_directory, new_name): (u64, Name<'_>),
        flags: u32,
    ) -> Result<Done, Errno> {
        let known = RenameFlags::NOREPLACE | RenameFlags::EXCHANGE;
        let flags = RenameFlags::from_bits_retain(flags);
        if !known.contains(flags) {
            return Err(Errno::INVAL);
        }
        let (from, to) = (self.writable(directory)?, self.writable(new_directory)?);
        if from.share() != to.share() {
            return Err(Errno::XDEV);
        }
        renameat_with(
            from.file(),
            name.as_c_str(),
            to.file(),
            new_name.as_c_str(),
            flags,
        )?;
        Ok(Done::Answer)
    }

    pub(super) fn link(
        &mut self,
        target: u64,
        directory: u64,
        name: Name<'_>,
    ) -> Result<Done, Errno> {
        let (target, directory) = (self.writable(target)?, self.writable(directory)?);
        if target.share() != directory.share() {
            return Err(Errno::XDEV);
        }
        linkat(
            self.descriptors()?,
            DecInt::from_fd(target.file()),
            directory.file(),
            name.as_c_str(),
            AtFlags::SYMLINK_FOLLOW,
        )?;
        let (share, file) = (target.share(), duplicate(target.file())?);
        self.tell(share, file)
    }
}
