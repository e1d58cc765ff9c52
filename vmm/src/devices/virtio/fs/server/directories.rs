use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use rustix::fs::{FileType, OFlags, RawDir, SeekFrom, seek};
use rustix::io::Errno;
use zerocopy::IntoBytes;

use super::{Done, MAX_ANSWER_BYTES, Server, look_at};
use crate::devices::virtio::fs::handles::Handle;
use crate::devices::virtio::fs::wire::{Dirent, OpenOut, ROOT_NODE, ReadIn};

/// What is read of a directory at once, in bytes.
const BUFFER_BYTES: usize = 8 << 10;
/// What an entry's size is a multiple of, in bytes.
const ENTRY_ALIGNMENT: usize = 8;

impl Server {
    pub(super) fn open_directory(&mut self, node: u64) -> Result<Done, Errno> {
        if node == ROOT_NODE {
            // Whoever is to have a share knows its number.
            return Err(Errno::PERM);
        }
        let node = self.nodes.get(node)?;
        if node.kind() != FileType::Directory {
            return Err(Errno::NOTDIR);
        }
        self.handles.check_room()?;
        let directory = self.reopen(node, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let fh = self.handles.add(Handle::Directory(directory));
        self.say(&OpenOut {
            fh,
            ..OpenOut::default()
        });
        Ok(Done::Answer)
    }

    /// Answers with as many entries as there is room for, from the guest's place on, which is one
    /// that it was told.
    pub(super) fn read_directory(&mut self, read: &ReadIn, room: u32) -> Result<Done, Errno> {
        let room = (read.size.min(room) as usize).min(MAX_ANSWER_BYTES);
        let directory = self.handles.directory(read.fh)?;
        let found = look_at(directory.as_fd())?;
        let device = (found.stx_dev_major, found.stx_dev_minor);
        seek(directory, SeekFrom::Start(read.offset))?;
        let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
        let mut entries = RawDir::new(directory, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            let bytes = (size_of::<Dirent>() + name.len()).next_multiple_of(ENTRY_ALIGNMENT);
            if self.answer.len() + bytes > room {
                // Without any, the guest would take it for the end.
                return match self.answer.is_empty() {
                    true => Err(Errno::INVAL),
                    false => Ok(Done::Answer),
                };
            }
            let head = Dirent {
                ino: self.numbers.shown(device, entry.ino()),
                offset: entry.next_entry_cookie(),
                // At most `NAME_MAX`.
                namelen: name.len() as u32,
                kind: kind_number(entry.file_type()),
            };
            let end = self.answer.len() + bytes;
            self.answer.extend_from_slice(head.as_bytes());
            self.answer.extend_from_slice(name);
            self.answer.resize(end, 0);
        }
        Ok(Done::Answer)
    }
}

/// `DT_*` of `readdir(3)`: the kind as it is in a mode, without the bits of permission.
fn kind_number(kind: FileType) -> u32 {
    match kind {
        FileType::Unknown => 0,
        known => known.as_raw_mode() >> 12,
    }
}
