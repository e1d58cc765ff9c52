//! Streams that the command can be given: never the caller's `/dev/null`, whose mode root could
//! change through its descriptor.

use std::ffi::c_int;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};

use crate::devices;
use crate::privileges::Privileges;
use crate::syscall::{self, FilesystemContext, Result};

/// `given`, with the null device of `dev`, which is the command's `/dev`.
pub(crate) fn with_null_of<'a>(
    dev: BorrowedFd<'_>,
    given: [BorrowedFd<'a>; 3],
) -> Result<[BorrowedFd<'a>; 3]> {
    with(given, |mode| devices::open_null(dev, mode))
}

/// `given`, with a null device that is made for it: the command's `/dev` may be anything by now.
/// There is no umask.
pub(crate) fn with_new_null(
    given: [BorrowedFd<'_>; 3],
    privileges: Privileges,
) -> Result<[BorrowedFd<'_>; 3]> {
    match privileges {
        Privileges::Root => with(given, |mode| {
            let memory = FilesystemContext::open(c"tmpfs")?.mount(0)?;
            devices::make_null(memory.as_fd())?;
            devices::open_null(memory.as_fd(), mode)
        }),
        // The caller's is nobody's in there.
        Privileges::UserNamespace(_) => Ok(given),
    }
}

fn with<'a>(
    mut streams: [BorrowedFd<'a>; 3],
    null: impl Fn(c_int) -> Result<OwnedFd>,
) -> Result<[BorrowedFd<'a>; 3]> {
    for stream in &mut streams {
        if devices::is_null(*stream)? {
            // Not closed by a destructor: by then the number may be that of something else.
            let null = null(syscall::access_mode(*stream)?)?.into_raw_fd();
            // SAFETY: it is open until all descriptors are closed that were not put in place, after
            // which nothing uses it.
            *stream = unsafe { BorrowedFd::borrow_raw(null) };
        }
    }
    Ok(streams)
}
