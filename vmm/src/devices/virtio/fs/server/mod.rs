//! Does what a guest asks for with the files of its shares.
//!
//! The guest's kernel is hostile: it asks for any operation with any node, handle, name and
//! number. These keep it inside:
//!
//! - A node is a descriptor, and never a path. It was opened with `O_PATH` below the node of a
//!   directory, by [a name](super::name::Name) of one component, with `openat2(2)` that neither
//!   leaves that directory nor follows a link: so it is in the share, whatever others do to names
//!   meanwhile. What is done to a node is done to the descriptor.
//! - Only regular files and directories are ever opened: a device, a pipe or a socket is
//!   something to the guest's kernel, and nothing to us.
//! - Whatever would change something goes through [`Server::writable`], which knows the
//!   read-only shares.
//! - What is allocated for a request has a size of ours, and what it holds afterwards is counted
//!   ([`Limits`](super::Limits)).

mod attributes;
mod directories;
mod files;
mod names;
mod session;
mod xattrs;

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, Statx, StatxFlags, open, openat, openat2, statx,
};
use rustix::io::Errno;
use rustix::path::DecInt;
use zerocopy::{Immutable, IntoBytes};

use super::ATTRIBUTES_VALID;
use super::handles::Handles;
use super::inode_numbers::InodeNumbers;
use super::limits::Limits;
use super::nodes::{Identity, Node, Nodes};
use super::owners::{Owner, Owners};
use super::request::Request;
use super::share::Share;
use super::wire::{Attr, EntryOut};
use crate::devices::virtio::{Readable, Writable};
use crate::jail::{Jail, JailError};

/// Largest answer that is put together here, in bytes; what is read of a file is not.
const MAX_ANSWER_BYTES: usize = 1 << 16;

/// A request with all that comes with it.
pub(super) struct Asked<'r, 'm> {
    pub(super) request: Request<'r>,
    /// The node that it is about.
    pub(super) node: u64,
    /// The process that has asked for it.
    pub(super) owner: Owner,
    /// What follows the request: data to be written.
    pub(super) data: Readable<'m>,
    /// Takes the answer, its header aside.
    pub(super) room: Writable<'m>,
}

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// The answer is what was put together.
    Answer,
    /// So many bytes of the answer are where the guest wants them already.
    Written(u32),
}

/// The shares, and what the guest has of them.
pub(super) struct Server {
    shares: Vec<Share>,
    owners: Owners,
    /// `/proc/self/fd`: by what is in it a node is opened.
    descriptors: Option<OwnedFd>,
    nodes: Nodes,
    handles: Handles,
    numbers: InodeNumbers,
    /// Whether the guest has settled on a version.
    is_initialized: bool,
    answer: Vec<u8>,
}

impl Server {
    /// # Errors
    ///
    /// When there is something to share, and no `/proc`.
    pub(super) fn new(shares: Vec<Share>, limits: Limits) -> Result<Self, Errno> {
        let descriptors = match shares.is_empty() {
            true => None,
            false => {
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                Some(open(c"/proc/self/fd", flags, Mode::empty())?)
            }
        };
        Ok(Self {
            shares,
            owners: Owners::of_process(),
            descriptors,
            nodes: Nodes::new(limits.nodes),
            handles: Handles::new(limits.handles),
            numbers: InodeNumbers::default(),
            is_initialized: false,
            answer: Vec::new(),
        })
    }

    /// Takes the shares into a jail, and what else is found by a path.
    pub(super) fn move_into(&mut self, jail: &Jail) -> Result<(), JailError> {
        for share in &mut self.shares {
            share.move_into(jail)?;
        }
        if self.descriptors.is_some() {
            self.descriptors = Some(jail.own_descriptors()?);
        }
        Ok(())
    }

    /// Whether nothing is shared.
    pub(super) fn is_empty(&self) -> bool {
        self.shares.is_empty()
    }

    /// Forgets all that the guest has.
    pub(super) fn reset(&mut self) {
        self.handles.clear();
        self.nodes.clear();
        self.is_initialized = false;
    }

    /// How many nodes and handles the guest has.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        (self.nodes.len(), self.handles.len())
    }

    /// What was put together as an answer, once.
    pub(super) fn answer(&self) -> &[u8] {
        &self.answer
    }

    /// Does what is asked for.
    pub(super) fn serve(&mut self, asked: Asked<'_, '_>) -> Result<Done, Errno> {
        self.answer.clear();
        let Asked {
            request,
            node,
            owner,
            data,
            room,
        } = asked;
        match request {
            Request::Init(init) => return self.initialize(init),
            // Without an effect, and without an answer.
            Request::Forget(_) | Request::BatchForget(_) | Request::Interrupt
                if !self.is_initialized =>
            {
                return Ok(Done::Answer);
            }
            _ if !self.is_initialized => return Err(Errno::IO),
            _ => {}
        }
        match request {
            Request::Init(_) | Request::Interrupt => Ok(Done::Answer),
            Request::Destroy => {
                self.reset();
                Ok(Done::Answer)
            }
            Request::Lookup(name) => self.look_up(node, name),
            Request::Forget(lookups) => {
                self.nodes.forget(node, lookups);
                Ok(Done::Answer)
            }
            Request::BatchForget(all) => self.forget_all(all),
            Request::GetAttr { handle } => self.get_attributes(node, handle),
            Request::SetAttr(wanted) => self.set_attributes(node, &wanted),
            Request::ReadLink => self.read_link(node),
            Request::Symlink { name, target } => self.make_link(node, owner, name, target),
            Request::MakeNode { name, mode, umask } => {
                self.make_node(node, owner, name, mode, umask)
            }
            Request::MakeDirectory { name, mode, umask } => {
                self.make_directory(node, owner, name, mode, umask)
            }
            Request::Unlink(name) => self.remove(node, name, AtFlags::empty()),
            Request::RemoveDirectory(name) => self.remove(node, name, AtFlags::REMOVEDIR),
            Request::Rename {
                name,
                new_directory,
                new_name,
                flags,
            } => self.rename((node, name), (new_directory, new_name), flags),
            Request::Link { target, name } => self.link(target, node, name),
            Request::Open(how) => self.open_file(node, how),
            Request::Create { name, how } => self.create(node, owner, name, how),
            Request::CreateUnnamed(how) => self.create_unnamed(node, owner, how),
            Request::Read(read) => self.read(&read, room),
            Request::Write(write) => self.write(&write, data),
            Request::StatFs => self.file_system(node),
            Request::Release(handle) => {
                self.handles.close(handle);
                Ok(Done::Answer)
            }
            Request::Fsync(fsync) => self.fsync(&fsync),
            Request::SyncAll => self.sync_all(),
            Request::SetXattr { name, value, flags } => self.set_xattr(node, name, value, flags),
            Request::GetXattr { name, size } => self.xattr(node, name, size),
            Request::ListXattr { size } => self.list_xattrs(node, size),
            Request::RemoveXattr(name) => self.remove_xattr(node, name),
            Request::Flush(handle) => self.flush(handle),
            Request::OpenDirectory => self.open_directory(node),
            Request::ReadDirectory(read) => self.read_directory(&read, room.bytes()),
            Request::Allocate(allocate) => self.allocate(&allocate),
            Request::Seek(seek) => self.seek(&seek),
            Request::CopyRange(copy) => self.copy_range(&copy),
        }
    }

    /// A node that is about to be changed.
    fn writable(&self, node: u64) -> Result<&Node, Errno> {
        let node = self.nodes.get(node)?;
        match self.is_read_only(node) {
            true => Err(Errno::ROFS),
            false => Ok(node),
        }
    }

    fn is_read_only(&self, node: &Node) -> bool {
        self.shares
            .get(node.share())
            .is_none_or(Share::is_read_only)
    }

    /// Opens a regular file or a directory for what its node is not: reading and writing.
    fn reopen(&self, node: &Node, flags: OFlags) -> Result<OwnedFd, Errno> {
        match node.kind() {
            FileType::RegularFile | FileType::Directory => {}
            FileType::Symlink => return Err(Errno::LOOP),
            // Only a guest that is out to harm asks for it: its kernel has files of its own for
            // these.
            _ => return Err(Errno::NXIO),
        }
        // Some files of /proc block whoever reads them.
        let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        openat(
            self.descriptors()?,
            DecInt::from_fd(node.file()),
            flags,
            Mode::empty(),
        )
    }

    /// `/proc/self/fd`.
    fn descriptors(&self) -> Result<BorrowedFd<'_>, Errno> {
        Ok(self.descriptors.as_ref().ok_or(Errno::NOENT)?.as_fd())
    }

    /// Tells the guest of a file in `share`, which was opened with `O_PATH`: the answer to all that
    /// finds or makes one.
    fn tell(&mut self, share: usize, file: OwnedFd) -> Result<Done, Errno> {
        self.say_entry(share, file)?;
        Ok(Done::Answer)
    }

    /// The same as a part of an answer; the number of the node.
    fn say_entry(&mut self, share: usize, file: OwnedFd) -> Result<u64, Errno> {
        let found = look_at(file.as_fd())?;
        let kind = FileType::from_raw_mode(found.stx_mode.into());
        let node = self.nodes.tell(Identity::new(share, &found), kind, file)?;
        let attr = self.attr(&found);
        self.say(&EntryOut {
            node,
            attr,
            attr_valid: ATTRIBUTES_VALID.as_secs(),
            // A name is never kept: see the documentation of the device.
            ..EntryOut::default()
        });
        Ok(node)
    }

    fn attr(&mut self, found: &Statx) -> Attr {
        let Owner { uid, gid } = self.owners.shown(Owner {
            uid: found.stx_uid,
            gid: found.stx_gid,
        });
        let device = (found.stx_dev_major, found.stx_dev_minor);
        Attr {
            ino: self.numbers.shown(device, found.stx_ino),
            size: found.stx_size,
            blocks: found.stx_blocks,
            // Times before 1970 are negative there and here.
            atime: found.stx_atime.tv_sec.cast_unsigned(),
            mtime: found.stx_mtime.tv_sec.cast_unsigned(),
            ctime: found.stx_ctime.tv_sec.cast_unsigned(),
            atime_ns: found.stx_atime.tv_nsec,
            mtime_ns: found.stx_mtime.tv_nsec,
            ctime_ns: found.stx_ctime.tv_nsec,
            mode: found.stx_mode.into(),
            nlink: found.stx_nlink,
            uid,
            gid,
            rdev: encode_device(found.stx_rdev_major, found.stx_rdev_minor),
            blksize: found.stx_blksize,
            flags: 0,
        }
    }

    /// Puts something into the answer.
    fn say(&mut self, what: &(impl IntoBytes + Immutable)) {
        self.answer.extend_from_slice(what.as_bytes());
    }
}

/// Opens what is called `name` in a directory, and nothing else: no link is followed.
fn open_below(directory: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    openat2(
        directory,
        name,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
    )
}

/// What there is to be known of an open file.
fn look_at(file: BorrowedFd<'_>) -> Result<Statx, Errno> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    statx(file, c"", AtFlags::EMPTY_PATH, wanted)
}

/// The kernel's `new_encode_dev` (`include/linux/kdev_t.h`).
fn encode_device(major: u32, minor: u32) -> u32 {
    (minor & 0xff) | major << 8 | (minor & !0xff) << 12
}

/// A second descriptor of the same open file.
fn duplicate(file: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    rustix::io::fcntl_dupfd_cloexec(file, 0)
}
