//! Extended attributes of entries.

use std::io;
use std::path::Path;

use rustix::fs::{XattrFlags, lsetxattr};
use rustix::io::Errno;

use super::privileges::Privileges;

/// Whether an entry has all its attributes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    All,
    /// Some were left out, because an ordinary user can't set them or because the file system
    /// has none.
    Some,
}

/// An attribute that can't be set.
#[derive(Debug, thiserror::Error)]
#[error("can't set its extended attribute {name} of {bytes} bytes")]
struct AttributeError {
    name: String,
    bytes: usize,
    source: Errno,
}

/// Sets attributes of what is at `path`, its last link not followed.
///
/// Those of overlayfs are left out: they say how layers are put together, which no image has to
/// say (a redirect leads to another directory of any layer).
pub(super) fn set(
    path: &Path,
    attributes: &[(Vec<u8>, Vec<u8>)],
    privileges: Privileges,
) -> io::Result<Kept> {
    let mut kept = Kept::All;
    for (name, value) in attributes {
        if is_overlayfs(name) {
            continue;
        }
        match lsetxattr(path, name.as_slice(), value, XattrFlags::empty()) {
            Ok(()) => {}
            Err(Errno::OPNOTSUPP) => kept = Kept::Some,
            // Only root of the host may set those of `trusted`.
            Err(Errno::PERM | Errno::ACCESS) if !(privileges.is_root && privileges.is_host) => {
                kept = Kept::Some;
            }
            Err(source) => {
                return Err(io::Error::other(AttributeError {
                    name: super::shown(name),
                    bytes: value.len(),
                    source,
                }));
            }
        }
    }
    Ok(kept)
}

fn is_overlayfs(name: &[u8]) -> bool {
    name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.")
}
