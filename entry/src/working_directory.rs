//! The working directory, a path that the image or the user chose.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::syscall::{self, Errno, Result};

/// Followed are the links of the image, inside the root. Never those of `/proc`: one that leads
/// to a descriptor which a launcher left open would lead out of the root (CVE-2024-21626).
const RESOLVE: u64 = libc::RESOLVE_NO_MAGICLINKS;

/// The working directory, with what is needed to make it when it is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WorkingDirectory {
    path: CString,
    /// From the outermost: a directory, and the name in it that leads on.
    ancestors: Vec<(CString, CString)>,
}

impl WorkingDirectory {
    pub(crate) fn new(path: &CStr) -> Self {
        let mut parent = b"/".to_vec();
        let mut ancestors = Vec::new();
        for name in path.to_bytes().split(|byte| *byte == b'/') {
            if matches!(name, b"" | b".") {
                continue;
            }
            ancestors.push((c_string(&parent), c_string(name)));
            parent.extend_from_slice(name);
            parent.push(b'/');
        }
        Self {
            path: path.to_owned(),
            ancestors,
        }
    }

    /// Makes it below `root`, and what is missing above it, if it is not there.
    pub(crate) fn make(&self, root: BorrowedFd<'_>) -> Result<()> {
        match open(root, &self.path) {
            Err(Errno(libc::ENOENT)) => {}
            result => return result.map(drop),
        }
        for (parent, name) in &self.ancestors {
            let parent = open(root, parent)?;
            match syscall::make_directory(parent.as_fd(), name, 0o755) {
                Ok(()) | Err(Errno(libc::EEXIST)) => {}
                Err(errno) => return Err(errno),
            }
        }
        open(root, &self.path).map(drop)
    }

    /// Makes it the process's own.
    pub(crate) fn enter(&self) -> Result<()> {
        let root = syscall::open_directory(c"/")?;
        let directory = open(root.as_fd(), &self.path)?;
        syscall::enter_directory(directory.as_fd())
    }
}

fn open(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd> {
    syscall::open_in_root(root, path, libc::O_DIRECTORY, RESOLVE)
}

/// A part of what was a C string, so it ends where the part does.
fn c_string(part: &[u8]) -> CString {
    let end = part
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(part.len());
    CString::new(&part[..end]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ancestors(path: &CStr) -> Vec<(String, String)> {
        let text = |part: CString| part.into_string().unwrap();
        WorkingDirectory::new(path)
            .ancestors
            .into_iter()
            .map(|(parent, name)| (text(parent), text(name)))
            .collect()
    }

    #[test]
    fn missing_directories_are_made_from_the_outermost() {
        let pair = |parent: &str, name: &str| (parent.to_owned(), name.to_owned());
        assert_eq!(ancestors(c"/"), []);
        assert_eq!(ancestors(c"//a/./b/"), [pair("/", "a"), pair("/a/", "b")]);
        assert_eq!(
            ancestors(c"/a/../b"),
            [pair("/", "a"), pair("/a/", ".."), pair("/a/../", "b")]
        );
    }
}
