//! What the guest asks for, read from bytes of its choice.

use std::ffi::CStr;

use rustix::io::Errno;
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::name::Name;
use super::wire::{self, opcode, *};

/// Longest value of an extended attribute, in bytes (`XATTR_SIZE_MAX`).
pub(super) const MAX_XATTR_BYTES: u32 = 1 << 16;

/// The most that is read of a request, data to be written to a file aside: the longest value of
/// an extended attribute with its name, and some.
pub(super) const MAX_REQUEST_BYTES: usize = MAX_XATTR_BYTES as usize + 1024;

/// What is asked for. Nodes and handles are numbers of the guest's choice.
#[derive(Debug)]
pub(super) enum Request<'a> {
    Init(InitIn),
    /// The mount is gone.
    Destroy,
    Lookup(Name<'a>),
    Forget(u64),
    /// [`ForgetOne`]s.
    BatchForget(&'a [u8]),
    GetAttr {
        handle: Option<u64>,
    },
    SetAttr(SetAttrIn),
    ReadLink,
    Symlink {
        name: Name<'a>,
        target: &'a CStr,
    },
    MakeNode {
        name: Name<'a>,
        mode: u32,
        umask: u32,
    },
    MakeDirectory {
        name: Name<'a>,
        mode: u32,
        umask: u32,
    },
    Unlink(Name<'a>),
    RemoveDirectory(Name<'a>),
    Rename {
        name: Name<'a>,
        new_directory: u64,
        new_name: Name<'a>,
        flags: u32,
    },
    Link {
        target: u64,
        name: Name<'a>,
    },
    Open(OpenIn),
    Create {
        name: Name<'a>,
        how: CreateIn,
    },
    /// A file without a name, in the directory's file system.
    CreateUnnamed(CreateIn),
    Read(ReadIn),
    /// The data are behind what was read of the request.
    Write(WriteIn),
    StatFs,
    /// Of a file or a directory.
    Release(u64),
    Fsync(FsyncIn),
    SyncAll,
    SetXattr {
        name: &'a CStr,
        value: &'a [u8],
        flags: u32,
    },
    GetXattr {
        name: &'a CStr,
        size: u32,
    },
    ListXattr {
        size: u32,
    },
    RemoveXattr(&'a CStr),
    Flush(u64),
    OpenDirectory,
    ReadDirectory(ReadIn),
    Allocate(FallocateIn),
    Seek(LseekIn),
    CopyRange(CopyFileRangeIn),
    /// Too late: what is asked for is done before the next request is looked at.
    Interrupt,
}

impl<'a> Request<'a> {
    /// Reads what follows the header.
    ///
    /// # Errors
    ///
    /// `EINVAL` when it is no such request, `ENOSYS` when it is none that is known: the guest
    /// then never asks again.
    pub(super) fn parse(opcode: u32, bytes: &'a [u8]) -> Result<Self, Errno> {
        let mut rest = Rest(bytes);
        Ok(match opcode {
            opcode::INIT => Self::Init(rest.take()?),
            opcode::DESTROY => Self::Destroy,
            opcode::LOOKUP => Self::Lookup(rest.name()?),
            opcode::FORGET => Self::Forget(rest.take::<ForgetIn>()?.lookups),
            opcode::BATCH_FORGET => {
                let BatchForgetIn { count, .. } = rest.take()?;
                Self::BatchForget(rest.up_to(count as usize * size_of::<ForgetOne>()))
            }
            opcode::GETATTR => {
                let GetAttrIn { flags, fh, .. } = rest.take()?;
                Self::GetAttr {
                    handle: (flags & GETATTR_FH != 0).then_some(fh),
                }
            }
            opcode::SETATTR => Self::SetAttr(rest.take()?),
            opcode::READLINK => Self::ReadLink,
            opcode::SYMLINK => Self::Symlink {
                name: rest.name()?,
                target: rest.text()?,
            },
            opcode::MKNOD => {
                let MknodIn { mode, umask, .. } = rest.take()?;
                let name = rest.name()?;
                Self::MakeNode { name, mode, umask }
            }
            opcode::MKDIR => {
                let MkdirIn { mode, umask } = rest.take()?;
                let name = rest.name()?;
                Self::MakeDirectory { name, mode, umask }
            }
            opcode::UNLINK => Self::Unlink(rest.name()?),
            opcode::RMDIR => Self::RemoveDirectory(rest.name()?),
            opcode::RENAME => Self::Rename {
                new_directory: rest.take::<RenameIn>()?.newdir,
                name: rest.name()?,
                new_name: rest.name()?,
                flags: 0,
            },
            opcode::RENAME2 => {
                let Rename2In { newdir, flags, .. } = rest.take()?;
                Self::Rename {
                    new_directory: newdir,
                    name: rest.name()?,
                    new_name: rest.name()?,
                    flags,
                }
            }
            opcode::LINK => Self::Link {
                target: rest.take::<LinkIn>()?.node,
                name: rest.name()?,
            },
            opcode::OPEN => Self::Open(rest.take()?),
            opcode::CREATE => Self::Create {
                how: rest.take()?,
                name: rest.name()?,
            },
            opcode::TMPFILE => Self::CreateUnnamed(rest.take()?),
            opcode::READ => Self::Read(rest.take()?),
            opcode::WRITE => Self::Write(rest.take()?),
            opcode::STATFS => Self::StatFs,
            opcode::RELEASE | opcode::RELEASEDIR => Self::Release(rest.take::<ReleaseIn>()?.fh),
            opcode::FSYNC | opcode::FSYNCDIR => Self::Fsync(rest.take()?),
            opcode::SYNCFS => Self::SyncAll,
            opcode::SETXATTR => {
                let SetxattrIn { size, flags } = rest.take()?;
                let name = rest.text()?;
                let value = rest.0.get(..size as usize).ok_or(Errno::INVAL)?;
                Self::SetXattr { name, value, flags }
            }
            opcode::GETXATTR => {
                let GetxattrIn { size, .. } = rest.take()?;
                let name = rest.text()?;
                Self::GetXattr { name, size }
            }
            opcode::LISTXATTR => {
                let GetxattrIn { size, .. } = rest.take()?;
                Self::ListXattr { size }
            }
            opcode::REMOVEXATTR => Self::RemoveXattr(rest.text()?),
            opcode::FLUSH => Self::Flush(rest.take::<FlushIn>()?.fh),
            opcode::OPENDIR => Self::OpenDirectory,
            opcode::READDIR => Self::ReadDirectory(rest.take()?),
            opcode::FALLOCATE => Self::Allocate(rest.take()?),
            opcode::LSEEK => Self::Seek(rest.take()?),
            opcode::COPY_FILE_RANGE => Self::CopyRange(rest.take()?),
            opcode::INTERRUPT => Self::Interrupt,
            _ => return Err(Errno::NOSYS),
        })
    }
}

/// Whether the guest waits for no answer to it, not even that it failed.
pub(super) fn is_unanswered(opcode: u32) -> bool {
    matches!(
        opcode,
        opcode::FORGET | opcode::BATCH_FORGET | opcode::INTERRUPT
    )
}

/// How much of a request is read: of one that writes, not the data.
pub(super) fn bytes_to_read(opcode: u32) -> usize {
    match opcode {
        wire::opcode::WRITE => size_of::<WriteIn>(),
        _ => MAX_REQUEST_BYTES,
    }
}

/// What was not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take<T: FromBytes + Immutable + KnownLayout>(&mut self) -> Result<T, Errno> {
        let (taken, rest) = T::read_from_prefix(self.0).map_err(|_| Errno::INVAL)?;
        self.0 = rest;
        Ok(taken)
    }

    fn text(&mut self) -> Result<&'a CStr, Errno> {
        let text = CStr::from_bytes_until_nul(self.0).map_err(|_| Errno::INVAL)?;
        self.0 = &self.0[text.count_bytes() + 1..];
        Ok(text)
    }

    fn name(&mut self) -> Result<Name<'a>, Errno> {
        Name::new(self.text()?)
    }

    fn up_to(&self, bytes: usize) -> &'a [u8] {
        &self.0[..bytes.min(self.0.len())]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(
            opcode in 0u32..64,
            bytes in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..300),
        ) {
            let _ = Request::parse(opcode, &bytes);
        }
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused_wherever_it_stands() {
        let with = |bytes: usize, names: &[u8]| [&vec![0; bytes], names].concat();
        for (opcode, bytes) in [
            (opcode::LOOKUP, with(0, b"..\0")),
            (opcode::LOOKUP, with(0, b"a/b\0")),
            (opcode::LOOKUP, with(0, b"not ended")),
            (opcode::SYMLINK, with(0, b"../a\0target\0")),
            (opcode::MKNOD, with(16, b".\0")),
            (opcode::MKDIR, with(8, b"\0")),
            (opcode::UNLINK, with(0, b"..\0")),
            (opcode::RMDIR, with(0, b"a/\0")),
            (opcode::RENAME, with(8, b"a\0../b\0")),
            (opcode::RENAME2, with(16, b"/a\0b\0")),
            (opcode::LINK, with(8, b"..\0")),
            (opcode::CREATE, with(16, b"/etc/passwd\0")),
        ] {
            let refused = Request::parse(opcode, &bytes);
            assert_eq!(refused.err(), Some(Errno::INVAL), "{opcode}: {bytes:?}");
        }
    }

    #[test]
    fn a_value_is_not_longer_than_what_came() {
        let request = [&8u32.to_le_bytes()[..], &[0; 4], b"user.a\0", b"1234567"].concat();
        let parsed = Request::parse(opcode::SETXATTR, &request);
        assert_eq!(parsed.err(), Some(Errno::INVAL));
    }
}
