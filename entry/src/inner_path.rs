//! A path in the root that the image or the user chose.

use std::ffi::{CStr, CString};
use std::os::fd::{BorrowedFd, OwnedFd};

use crate::lookup;
use crate::missing_path::{Missing, make_missing};
use crate::syscall::{Errno, Result};

/// The path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InnerPath(CString);

impl InnerPath {
    pub(crate) fn new(path: &CStr) -> Self {
        Self(path.to_owned())
    }

    /// Opens what is there, only to name it. `flags` are further ones of open(2).
    pub(crate) fn open(&self, root: BorrowedFd<'_>, flags: libc::c_int) -> Result<OwnedFd> {
        lookup::with_links(root, &self.0, flags)
    }

    /// The same; what is missing is made, and what is missing above it. So is what a link is to
    /// lead to that leads nowhere, inside the root, as in docker.
    pub(crate) fn open_or_make(&self, root: BorrowedFd<'_>, missing: Missing) -> Result<OwnedFd> {
        match self.open(root, 0) {
            Err(Errno(libc::ENOENT)) => {}
            result => return result,
        }
        make_missing(root, &self.0, missing)?;
        self.open(root, 0)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::fd::AsFd;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};

    use super::*;

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

    #[test]
    fn what_a_link_is_to_lead_to_is_made_inside() {
        for (link, target, path, made) in [
            ("run", "/var/run", c"/run/sub", "var/run/sub"),
            ("run", "var/run", c"/run", "var/run"),
            ("run", "../../run2", c"/run/sub", "run2/sub"),
            ("run", "./a//b/", c"/run/./sub", "a/b/sub"),
        ] {
            let root = Root::new("dangling");
            symlink(target, root.path().join(link)).unwrap();
            root.make(path, Missing::File).unwrap();
            assert!(root.path().join(made).is_file(), "{target} {path:?}");
        }
    }

    #[test]
    fn links_to_links_are_followed_and_circles_are_not() {
        let root = Root::new("links");
        symlink("b", root.path().join("a")).unwrap();
        symlink("/c", root.path().join("b")).unwrap();
        root.make(c"/a/sub", Missing::Directory).unwrap();
        assert!(root.path().join("c/sub").is_dir());
        symlink("circle/x", root.path().join("circle")).unwrap();
        let circle = root.make(c"/circle", Missing::Directory).unwrap_err();
        assert_eq!(circle, Errno(libc::ELOOP));
    }

    #[test]
    fn a_path_that_links_make_too_long_is_refused() {
        let root = Root::new("long");
        let long = "x/".repeat(2000);
        symlink(&long, root.path().join("link")).unwrap();
        let path = CString::new(format!("/link/{long}")).unwrap();
        let error = root.make(&path, Missing::Directory).unwrap_err();
        assert_eq!(error, Errno(libc::ENAMETOOLONG));
    }
}
