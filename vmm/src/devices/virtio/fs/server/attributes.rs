use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, Uid,
    chmodat, chownat, ftruncate, utimensat,
};
use rustix::io::Errno;
use rustix::path::DecInt;

use super::names::MODE_BITS;
use super::{Done, Server, look_at};
use crate::devices::virtio::fs::wire::{Attr, AttrOut, ROOT_NODE, SetAttrIn, valid};
use crate::devices::virtio::fs::{ATTRIBUTES_VALID, owners};

/// A directory that only root of the guest's looks into.
const ROOT: Attr = Attr {
    ino: ROOT_NODE,
    size: 0,
    blocks: 0,
    atime: 0,
    mtime: 0,
    ctime: 0,
    atime_ns: 0,
    mtime_ns: 0,
    ctime_ns: 0,
    mode: libc::S_IFDIR | 0o500,
    nlink: 2,
    uid: 0,
    gid: 0,
    rdev: 0,
    blksize: 4096,
    flags: 0,
};

/// Nanoseconds that make no second.
const NS_PER_S: u32 = 1_000_000_000;

impl Server {
    pub(super) fn get_attributes(&mut self, node: u64, handle: Option<u64>) -> Result<Done, Errno> {
        let attr = match (node, handle) {
            (ROOT_NODE, _) => ROOT,
            // Of a file without a name too, of which a file system may know more by its handle.
            (_, Some(handle)) if self.handles.file(handle).is_ok() => {
                let found = look_at(self.handles.file(handle)?.as_fd())?;
                self.attr(&found)
            }
            (node, _) => {
                let found = look_at(self.nodes.get(node)?.file())?;
                self.attr(&found)
            }
        };
        self.say(&AttrOut {
            attr_valid: ATTRIBUTES_VALID.as_secs(),
            attr,
            ..AttrOut::default()
        });
        Ok(Done::Answer)
    }

    pub(super) fn set_attributes(&mut self, node: u64, wanted: &SetAttrIn) -> Result<Done, Errno> {
        let is_wanted = |bits| wanted.valid & bits != 0;
        let file = self.writable(node)?;
        // A new owner takes bits of the mode away, so the mode comes second.
        if is_wanted(valid::UID | valid::GID) {
            let uid = is_wanted(valid::UID).then_some(wanted.uid);
            let gid = is_wanted(valid::GID).then_some(wanted.gid);
            let (uid, gid) = self.owners.to_host(uid, gid)?;
            let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
            chownat(file.file(), c"", uid, gid, AtFlags::EMPTY_PATH)?;
        }
        if is_wanted(valid::MODE) {
            // No mode of a link is ever looked at, and of its target none is meant.
            if file.kind() == FileType::Symlink {
                return Err(Errno::OPNOTSUPP);
            }
            chmodat(
                self.descriptors()?,
                DecInt::from_fd(file.file()),
                Mode::from_raw_mode(wanted.mode & MODE_BITS),
                AtFlags::empty(),
            )?;
        }
        if is_wanted(valid::SIZE) {
            self.set_size(node, wanted)?;
        }
        if is_wanted(valid::ATIME | valid::MTIME) {
            let times = Timestamps {
                last_access: time(
                    is_wanted(valid::ATIME),
                    is_wanted(valid::ATIME_NOW),
                    (wanted.atime, wanted.atime_ns),
                )?,
                last_modification: time(
                    is_wanted(valid::MTIME),
                    is_wanted(valid::MTIME_NOW),
                    (wanted.mtime, wanted.mtime_ns),
                )?,
            };
            let file = self.nodes.get(node)?.file();
            utimensat(file, c"", &times, AtFlags::EMPTY_PATH)?;
        }
        self.get_attributes(node, None)
    }

    fn set_size(&self, node: u64, wanted: &SetAttrIn) -> Result<(), Errno> {
        let truncate = |file: BorrowedFd<'_>| match wanted.valid & valid::KILL_SUIDGID {
            0 => ftruncate(file, wanted.size),
            _ => owners::without_setid(|| ftruncate(file, wanted.size)),
        };
        if wanted.valid & valid::FH != 0 {
            // One that is open for reading only is an error of the kernel's.
            return truncate(self.handles.file(wanted.fh)?.as_fd());
        }
        let file = self.reopen(self.writable(node)?, OFlags::WRONLY)?;
        truncate(file.as_fd())
    }
}

fn time(is_wanted: bool, is_now: bool, (seconds, ns): (u64, u32)) -> Result<Timespec, Errno> {
    let special = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
    Ok(match (is_wanted, is_now) {
        (false, _) => special(UTIME_OMIT),
        (true, true) => special(UTIME_NOW),
        // Larger ones are not nanoseconds to the kernel.
        (true, false) if ns >= NS_PER_S => return Err(Errno::INVAL),
        (true, false) => Timespec {
            tv_sec: seconds.cast_signed(),
            tv_nsec: ns.into(),
        },
    })
}
