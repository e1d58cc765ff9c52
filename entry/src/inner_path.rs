//! A path in the root that the image or the user chose.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::syscall::{self, Errno, Result};

/// Followed are the links of the image, inside the root. Never those of `/proc`: one that leads
/// to a descriptor which a launcher left open would lead out of the root (CVE-2024-21626).
const RESOLVE: u64 = libc::RESOLVE_NO_MAGICLINKS;

/// What is made where nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// A directory.
    Directory,
    /// An empty file.
    File,
}

/// The path, with what is needed to make it when it is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InnerPath {
    path: CString,
    /// From the outermost: a directory, and the name in it that leads on.
    steps: Vec<(CString, CString)>,
}

impl InnerPath {
    pub(crate) fn new(path: &CStr) -> Self {
        let mut parent = b"/".to_vec();
        let mut steps = Vec::new();
        for name in path.to_bytes().split(|byte| *byte == b'/') {
            if matches!(name, b"" | b".") {
                continue;
            }
            steps.push((c_string(&parent), c_string(name)));
            parent.extend_from_slice(name);
            parent.push(b'/');
        }
        Self {
            path: path.to_owned(),
            steps,
        }
    }

    /// Opens what is there, only to name it. `flags` are further ones of open(2).
    pub(crate) fn open(&self, root: BorrowedFd<'_>, flags: libc::c_int) -> Result<OwnedFd> {
        open(root, &self.path, flags)
    }

    /// The same; what is missing is made, and what is missing above it.
    pub(crate) fn open_or_make(&self, root: BorrowedFd<'_>, missing: Missing) -> Result<OwnedFd> {
        match self.open(root, 0) {
            Err(Errno(libc::ENOENT)) => {}
            result => return result,
        }
        let last = self.steps.len().saturating_sub(1);
        for (index, (parent, name)) in self.steps.iter().enumerate() {
            let parent = open(root, parent, libc::O_DIRECTORY)?;
            let made = match missing {
                Missing::File if index == last => {
                    syscall::make_node(parent.as_fd(), name, libc::S_IFREG | 0o644, 0)
                }
                _ => syscall::make_directory(parent.as_fd(), name, 0o755),
            };
            match made {
                Ok(()) | Err(Errno(libc::EEXIST)) => {}
                Err(errno) => return Err(errno),
            }
        }
        self.open(root, 0)
    }
}

fn open(root: BorrowedFd<'_>, path: &CStr, flags: libc::c_int) -> Result<OwnedFd> {
    syscall::open_in_root(root, path, flags, RESOLVE)
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
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};

    use super::*;

    fn steps(path: &CStr) -> Vec<(String, String)> {
        let text = |part: CString| part.into_string().unwrap();
        InnerPath::new(path)
            .steps
            .into_iter()
            .map(|(parent, name)| (text(parent), text(name)))
            .collect()
    }

    #[test]
    fn missing_directories_are_made_from_the_outermost() {
        let pair = |parent: &str, name: &str| (parent.to_owned(), name.to_owned());
        assert_eq!(steps(c"/"), []);
        assert_eq!(steps(c"//a/./b/"), [pair("/", "a"), pair("/a/", "b")]);
        assert_eq!(
            steps(c"/a/../b"),
            [pair("/", "a"), pair("/a/", ".."), pair("/a/../", "b")]
        );
    }

    struct Root(PathBuf);

    impl Root {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("jaula-{name}-{}", std::process::id()));
            fs::create_dir_all(dir.join("root")).unwrap();
            Self(dir)
        }

        fn path(&self) -> PathBuf {
            self.0.join("root")
        }

        fn make(&self, path: &CStr, missing: Missing) -> Result<OwnedFd> {
            let root = File::open(self.path()).unwrap();
            InnerPath::new(path).open_or_make(root.as_fd(), missing)
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn names(dir: &Path) -> usize {
        fs::read_dir(dir).unwrap().count()
    }

    #[test]
    fn a_missing_file_is_made_in_missing_directories() {
        let root = Root::new("missing-file");
        root.make(c"/a/b/file", Missing::File).unwrap();
        assert!(root.path().join("a/b/file").is_file());
        root.make(c"/a/b/dir", Missing::Directory).unwrap();
        assert!(root.path().join("a/b/dir").is_dir());
    }

    #[test]
    fn what_is_there_is_opened_whatever_it_is() {
        let root = Root::new("there");
        fs::write(root.path().join("file"), "kept").unwrap();
        root.make(c"/file", Missing::Directory).unwrap();
        assert_eq!(fs::read(root.path().join("file")).unwrap(), b"kept");
    }

    #[test]
    fn nothing_is_made_outside_of_the_root() {
        let root = Root::new("outside");
        let outside = root.0.join("outside");
        fs::create_dir(&outside).unwrap();
        symlink(&outside, root.path().join("absolute")).unwrap();
        symlink("../outside", root.path().join("relative")).unwrap();
        for path in [c"/absolute/a", c"/relative/a", c"/../outside/a"] {
            // Inside the root there is no such directory, or it is made there.
            let _ = root.make(path, Missing::Directory);
            assert_eq!(names(&outside), 0, "{path:?}");
        }
    }

    #[test]
    fn a_link_of_the_image_leads_to_where_it_does_inside() {
        let root = Root::new("inside");
        fs::create_dir(root.path().join("real")).unwrap();
        symlink("/real", root.path().join("link")).unwrap();
        root.make(c"/link/made", Missing::Directory).unwrap();
        assert!(root.path().join("real/made").is_dir());
    }
}
