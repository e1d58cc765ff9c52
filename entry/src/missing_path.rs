//! Making what a path of the root lacks.
//!
//! All is looked up by the kernel, as if the root were the root of the file system: what is put
//! together here is only the next path to be asked for. Makes system calls and nothing else.

use std::ffi::CStr;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};

use crate::lookup::with_links;
use crate::path_bytes::{PATH_MAX, PathBytes};
use crate::syscall::{self, Errno, Result};

/// As many links as the kernel follows, `MAXSYMLINKS` of `include/linux/namei.h`.
const MAX_LINKS: usize = 40;

/// What is made where nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// A directory.
    Directory,
    /// An empty file.
    File,
}

/// Makes what is missing at `path`, which begins with a slash, and above it. A link that leads
/// nowhere is replaced in the path by where it is to lead.
pub(crate) fn make_missing(root: BorrowedFd<'_>, path: &CStr, missing: Missing) -> Result<()> {
    let mut path = PathBytes::new(path.to_bytes())?;
    let mut link = [0; PATH_MAX];
    let mut links = 0;
    let mut done = 0;
    while let Some(name) = next_name(path.as_bytes(), done) {
        let Some(length) = make_name(root, &mut path, &name, missing, &mut link)? else {
            done = name.end;
            continue;
        };
        links += 1;
        if links > MAX_LINKS {
            return Err(Errno(libc::ELOOP));
        }
        let link = link.get(..length).unwrap_or_default();
        let start = match link.first() {
            Some(b'/') => 0,
            _ => name.start,
        };
        path.replace(start..name.end, link)?;
        done = 0;
    }
    Ok(())
}

/// Makes what `name`, a part of `path`, calls, if it is not there; all before it is. If it is a
/// link that leads nowhere, says how many bytes of `link` say where to.
fn make_name(
    root: BorrowedFd<'_>,
    path: &mut PathBytes,
    name: &Range<usize>,
    missing: Missing,
    link: &mut [u8; PATH_MAX],
) -> Result<Option<usize>> {
    match path.with_part(0..name.end, |path| with_links(root, path, 0)) {
        Err(Errno(libc::ENOENT)) => {}
        result => return result.map(|_| None),
    }
    let parent = path.with_part(0..name.start, |path| {
        with_links(root, path, libc::O_DIRECTORY)
    })?;
    let is_last = next_name(path.as_bytes(), name.end).is_none();
    path.with_part(name.clone(), |name| {
        let made = match missing {
            Missing::File if is_last => {
                syscall::make_node(parent.as_fd(), name, libc::S_IFREG | 0o644, 0)
            }
            _ => syscall::make_directory(parent.as_fd(), name, 0o755),
        };
        match made {
            Err(Errno(libc::EEXIST)) => {}
            result => return result.map(|()| None),
        }
        match syscall::read_link(parent.as_fd(), name, link) {
            // It is no link: somebody else has made it meanwhile.
            Err(Errno(libc::EINVAL)) => Ok(None),
            result => result.map(Some),
        }
    })
}

/// The first name of `path` that begins at `from` or later; not `.`, which is nothing to make.
fn next_name(path: &[u8], from: usize) -> Option<Range<usize>> {
    let mut start = from;
    for name in path.get(from..)?.split(|byte| *byte == b'/') {
        let end = start + name.len();
        if !matches!(name, b"" | b".") {
            return Some(start..end);
        }
        start = end + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_found_one_after_the_other() {
        let path = b"//a/./b/../";
        let mut names = Vec::new();
        let mut from = 0;
        while let Some(name) = next_name(path, from) {
            from = name.end;
            names.push(std::str::from_utf8(&path[name]).unwrap());
        }
        assert_eq!(names, ["a", "b", ".."]);
        assert_eq!(next_name(b"", 0), None);
        assert_eq!(next_name(b"/", 0), None);
    }

    proptest! {
        #[test]
        fn a_name_is_within_its_path(path: Vec<u8>, from: usize) {
            if let Some(name) = next_name(&path, from) {
                prop_assert!(from <= name.start && name.start < name.end);
                prop_assert!(name.end <= path.len());
            }
        }
    }
}
