//! What is done to open files.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    FallocateFlags, FileType, Mode, OFlags, ResolveFlags, SeekFrom, copy_file_range, fallocate,
    fdatasync, fsync, openat, openat2, seek,
};
use rustix::io::Errno;
use rustix::path::DecInt;

use super::names::MODE_BITS;
use super::{Done, Server, duplicate, open_below};
use crate::devices::virtio::fs::handles::Handle;
use crate::devices::virtio::fs::name::Name;
use crate::devices::virtio::fs::nodes::Node;
use crate::devices::virtio::fs::owners::{self, Owner};
use crate::devices::virtio::fs::wire::{
    CopyFileRangeIn, CreateIn, FOPEN_NOFLUSH, FSYNC_FDATASYNC, FallocateIn, FsyncIn, LseekIn,
    LseekOut, OPEN_KILL_SUIDGID, OpenIn, OpenOut, ReadIn, WRITE_CACHE, WRITE_KILL_SUIDGID, WriteIn,
    WriteOut,
};
use crate::devices::virtio::{Readable, Target, Writable};

/// The most that is copied at once, in bytes: whoever wants more asks again.
const MAX_COPY_BYTES: u64 = 8 << 20;

/// How a file is opened that the guest wants to open with these flags.
#[derive(Clone, Copy)]
struct Access(OFlags);

impl Access {
    /// What of the guest's flags reaches the host. `O_APPEND` does not: each write says itself
    /// where it goes. Nor does `O_DIRECT`: guest memory is not aligned as that asks for.
    fn new(flags: u32) -> Result<Self, Errno> {
        let flags = OFlags::from_bits_retain(flags);
        let kept = OFlags::TRUNC | OFlags::SYNC | OFlags::DSYNC | OFlags::NOATIME;
        match flags & OFlags::RWMODE {
            OFlags::RWMODE => Err(Errno::INVAL),
            access => Ok(Self(access | (flags & kept))),
        }
    }

    fn writes(self) -> bool {
        self.0
            .intersects(OFlags::WRONLY | OFlags::RDWR | OFlags::TRUNC)
    }

    /// For a new file, which has nothing in it.
    fn of_new_file(self) -> OFlags {
        (self.0 - OFlags::TRUNC) | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW
    }
}

impl Server {
    pub(super) fn open_file(&mut self, node: u64, how: OpenIn) -> Result<Done, Errno> {
        let access = Access::new(how.flags)?;
        let file = self.open_node(self.nodes.get(node)?, access, how.open_flags)?;
        self.keep(file, access)
    }

    /// Opens a file that is there.
    fn open_node(&self, node: &Node, access: Access, open_flags: u32) -> Result<OwnedFd, Errno> {
        if access.writes() && self.is_read_only(node) {
            return Err(Errno::ROFS);
        }
        if node.kind() == FileType::Directory {
            return Err(Errno::ISDIR);
        }
        self.handles.check_room()?;
        match open_flags & OPEN_KILL_SUIDGID {
            0 => self.reopen(node, access.0),
            _ => owners::without_setid(|| self.reopen(node, access.0)),
        }
    }

    /// Keeps what was opened until the guest closes it, and tells it how it is called.
    fn keep(&mut self, file: OwnedFd, access: Access) -> Result<Done, Errno> {
        let fh = self.handles.add(Handle::File(file.into()));
        self.say(&OpenOut {
            fh,
            // By one for reading nothing was written that could still fail.
            open_flags: match access.writes() {
                true => 0,
                false => FOPEN_NOFLUSH,
            },
            padding: 0,
        });
        Ok(Done::Answer)
    }

    pub(super) fn create(
        &mut self,
        directory: u64,
        owner: Owner,
        name: Name<'_>,
        how: CreateIn,
    ) -> Result<Done, Errno> {
        let access = Access::new(how.flags)?;
        let directory = self.writable(directory)?;
        self.nodes.check_room()?;
        self.handles.check_room()?;
        let share = directory.share();
        let made = self.owners.make_for(owner, how.umask, || {
            openat2(
                directory.file(),
                name.as_c_str(),
                // Only what is made here is opened here: it could be a pipe or a device else.
                access.of_new_file() | OFlags::CREATE | OFlags::EXCL,
                Mode::from_raw_mode(how.mode & MODE_BITS),
                ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
            )
        });
        match made {
            Ok(file) => self.tell_of_new(share, file, access),
            // The host was faster.
            Err(Errno::EXIST) if how.flags & OFlags::EXCL.bits() == 0 => {
                let found = open_below(directory.file(), name.as_c_str())?;
                let node = self.say_entry(share, found)?;
                let opened = self.nodes.get(node);
                match opened.and_then(|node| self.open_node(node, access, how.open_flags)) {
                    Ok(file) => self.keep(file, access),
                    Err(errno) => {
                        self.nodes.forget(node, 1);
                        Err(errno)
                    }
                }
            }
            Err(errno) => Err(errno),
        }
    }

    pub(super) fn create_unnamed(
        &mut self,
        directory: u64,
        owner: Owner,
        how: CreateIn,
    ) -> Result<Done, Errno> {
        let access = Access::new(how.flags)?;
        let directory = self.writable(directory)?;
        self.nodes.check_room()?;
        self.handles.check_room()?;
        let share = directory.share();
        let exclusive = OFlags::from_bits_retain(how.flags) & OFlags::EXCL;
        let file = self.owners.make_for(owner, how.umask, || {
            openat(
                directory.file(),
                c".",
                access.of_new_file() | OFlags::TMPFILE | exclusive,
                Mode::from_raw_mode(how.mode & MODE_BITS),
            )
        })?;
        self.tell_of_new(share, file, access)
    }

    /// Tells the guest of a file that was made for it and is open.
    fn tell_of_new(&mut self, share: usize, file: OwnedFd, access: Access) -> Result<Done, Errno> {
        let node = openat(
            self.descriptors()?,
            DecInt::from_fd(&file),
            OFlags::PATH | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        self.say_entry(share, node)?;
        self.keep(file, access)
    }

    /// Reads straight into guest memory.
    pub(super) fn read(&mut self, read: &ReadIn, room: Writable<'_>) -> Result<Done, Errno> {
        let file = self.handles.file(read.fh)?;
        let (mut room, _) = {
            let bytes = read.size.min(room.bytes());
            room.split_at(bytes).map_err(|_| Errno::INVAL)?
        };
        let mut done = 0;
        while room.bytes() > 0 {
            let offset = read.offset.checked_add(done.into()).ok_or(Errno::INVAL)?;
            match room.read_at(file, offset) {
                Ok(0) => break,
                Ok(bytes) => {
                    done += bytes;
                    (_, room) = room.split_at(bytes).map_err(|_| Errno::INVAL)?;
                }
                Err(error) => match errno(&error) {
                    Errno::INTR => {}
                    // What was read is read.
                    _ if done > 0 => break,
                    other => return Err(other),
                },
            }
        }
        Ok(Done::Written(done))
    }

    /// Writes straight from guest memory.
    pub(super) fn write(&mut self, write: &WriteIn, data: Readable<'_>) -> Result<Done, Errno> {
        let file = self.handles.file(write.fh)?;
        let (mut data, _) = data.split_at(write.size).map_err(|_| Errno::INVAL)?;
        let appends = write.flags & OFlags::APPEND.bits() != 0;
        let mut done = 0;
        while data.bytes() > 0 {
            // What comes from the page cache goes where it was, whichever handle it comes by.
            let target = match appends && write.write_flags & WRITE_CACHE == 0 {
                true => Target::End,
                false => Target::At(write.offset.checked_add(done.into()).ok_or(Errno::FBIG)?),
            };
            let once = || data.write_to(file, target).map_err(|error| errno(&error));
            let written = match write.write_flags & WRITE_KILL_SUIDGID {
                0 => once(),
                _ => owners::without_setid(once),
            };
            match written {
                Ok(0) => break,
                Ok(bytes) => {
                    done += bytes;
                    (_, data) = data.split_at(bytes).map_err(|_| Errno::INVAL)?;
                }
                Err(Errno::INTR) => {}
                Err(_) if done > 0 => break,
                Err(errno) => return Err(errno),
            }
        }
        self.say(&WriteOut {
            size: done,
            padding: 0,
        });
        Ok(Done::Answer)
    }

    /// A close on the guest's side, which is told of what could not be written (`close(2)`).
    pub(super) fn flush(&mut self, handle: u64) -> Result<Done, Errno> {
        let copy = duplicate(self.handles.file(handle)?.as_fd())?;
        nix::unistd::close(copy).map_err(|errno| Errno::from_raw_os_error(errno as i32))?;
        Ok(Done::Answer)
    }

    pub(super) fn fsync(&mut self, wanted: &FsyncIn) -> Result<Done, Errno> {
        let sync = |file: BorrowedFd<'_>| match wanted.flags & FSYNC_FDATASYNC {
            0 => fsync(file),
            _ => fdatasync(file),
        };
        match self.handles.any(wanted.fh)? {
            Handle::File(file) => sync(file.as_fd()),
            Handle::Directory(directory) => sync(directory.as_fd()),
        }?;
        Ok(Done::Answer)
    }

    pub(super) fn allocate(&mut self, wanted: &FallocateIn) -> Result<Done, Errno> {
        let mode = FallocateFlags::from_bits_retain(wanted.mode);
        fallocate(
            self.handles.file(wanted.fh)?,
            mode,
            wanted.offset,
            wanted.length,
        )?;
        Ok(Done::Answer)
    }

    /// Finds data and holes; all other positions the guest knows itself.
    pub(super) fn seek(&mut self, wanted: &LseekIn) -> Result<Done, Errno> {
        let from = match wanted.whence.cast_signed() {
            libc::SEEK_DATA => SeekFrom::Data(wanted.offset),
            libc::SEEK_HOLE => SeekFrom::Hole(wanted.offset),
            _ => return Err(Errno::INVAL),
        };
        let offset = seek(self.handles.file(wanted.fh)?, from)?;
        self.say(&LseekOut { offset });
        Ok(Done::Answer)
    }

    pub(super) fn copy_range(&mut self, wanted: &CopyFileRangeIn) -> Result<Done, Errno> {
        if wanted.flags != 0 {
            return Err(Errno::INVAL);
        }
        let (from, to): (&File, &File) = (
            self.handles.file(wanted.fh_in)?,
            self.handles.file(wanted.fh_out)?,
        );
        let (mut from_offset, mut to_offset) = (wanted.offset_in, wanted.offset_out);
        let copied = copy_file_range(
            from,
            Some(&mut from_offset),
            to,
            Some(&mut to_offset),
            wanted.length.min(MAX_COPY_BYTES) as usize,
        )?;
        self.say(&WriteOut {
            // At most `MAX_COPY_BYTES`.
            size: copied as u32,
            padding: 0,
        });
        Ok(Done::Answer)
    }
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
