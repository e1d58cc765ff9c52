use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::{Mode, fstat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};

/// The root directory's inode in every procfs, `PROC_ROOT_INO` of `include/linux/proc_fs.h`.
const ROOT_INODE: u64 = 1;

/// A `/proc` that was seen to be the kernel's.
///
/// What a runtime writes to `/proc` (the identities of a user namespace, say) must not go to a
/// file that somebody has put there, nor through a link or mount in it to one that does
/// something else (CVE-2025-52881). All paths are below the directory, on the same mount.
pub(crate) struct Procfs(OwnedFd);

impl Procfs {
    /// That of the caller's mount namespace. Makes system calls and nothing else.
    ///
    /// # Errors
    ///
    /// `EXDEV` when it is something else.
    pub(crate) fn open() -> Result<Self, Errno> {
        Self::open_at(c"/proc")
    }

    fn open_at(path: &CStr) -> Result<Self, Errno> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let directory = open(path, flags, Mode::empty())?;
        let is_procfs = fstatfs(&directory)?.filesystem_type() == PROC_SUPER_MAGIC
            && fstat(&directory)?.st_ino == ROOT_INODE;
        if is_procfs {
            Ok(Self(directory))
        } else {
            Err(Errno::EXDEV)
        }
    }

    /// Opens a file in it. Makes system calls and nothing else.
    pub(crate) fn file(&self, path: &CStr, flags: OFlag) -> Result<OwnedFd, Errno> {
        let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(
            ResolveFlag::RESOLVE_BENEATH
                | ResolveFlag::RESOLVE_NO_XDEV
                | ResolveFlag::RESOLVE_NO_MAGICLINKS,
        );
        openat2(self.0.as_fd(), path, how)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_the_root_of_a_procfs_is_taken_for_one() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("self/attr")).unwrap();
        let link = dir.path().join("link");
        symlink("/proc", &link).unwrap();
        let path = |path: &std::path::Path| {
            std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).unwrap()
        };
        assert!(Procfs::open_at(c"/proc").is_ok());
        for wrong in [
            path(dir.path()),
            path(&link),
            c"/proc/sys".to_owned(),
            c"/sys".to_owned(),
        ] {
            assert!(Procfs::open_at(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn its_files_are_opened_and_nothing_that_its_links_lead_to() {
        let procfs = Procfs::open().unwrap();
        assert!(procfs.file(c"self/status", OFlag::O_RDONLY).is_ok());
        for path in [
            c"self/root/etc/passwd",
            c"self/fd/0",
            c"../etc/passwd",
            c"/proc/version",
        ] {
            assert!(procfs.file(path, OFlag::O_RDONLY).is_err(), "{path:?}");
        }
    }
}
