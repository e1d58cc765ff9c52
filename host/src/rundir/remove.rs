//! Removing a directory in which a workload did what it liked: directories nested deeper than
//! we may have descriptors or stack for, symbolic links to anywhere, modes that keep even the
//! owner out (overlayfs makes one of mode 000 itself).

use std::ffi::CStr;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, RenameFlags, openat, renameat2};
use nix::libc::dev_t;
use nix::sys::stat::{FchmodatFlags, Mode, fchmod, fchmodat, fstat};
use nix::unistd::{UnlinkatFlags, unlinkat};

/// Removes the directory `path` with all that is in it, on its own file system.
///
/// Never follows a symbolic link, and holds a handful of descriptors however deep it goes:
/// directories within directories are moved up to `path` before they are emptied.
///
/// # Errors
///
/// When something can't be removed, as a mount point can't.
pub(super) fn tree(path: &Path) -> io::Result<()> {
    let mut top = Top::open(path, &[])?;
    loop {
        let removed = top.remove_some()?;
        // Most often one reading shows all that there is.
        match std::fs::remove_dir(path) {
            Err(error) if removed && error.kind() == ErrorKind::DirectoryNotEmpty => {}
            result => return result,
        }
    }
}

/// Removes what is in the directory `path` but for what has one of these names there, as
/// [`tree`] does.
///
/// # Errors
///
/// As there.
pub(super) fn all_but(path: &Path, kept: &[&str]) -> io::Result<()> {
    let mut top = Top::open(path, kept)?;
    while top.remove_some()? {}
    Ok(())
}

/// The directory that is emptied.
struct Top<'a> {
    dir: OwnedFd,
    device: dev_t,
    /// Names the directories that are moved up.
    lifted: u64,
    /// What stays.
    kept: &'a [&'a str],
}

impl<'a> Top<'a> {
    fn open(path: &Path, kept: &'a [&'a str]) -> io::Result<Self> {
        let dir = open(AT_FDCWD, path, OFlag::O_RDONLY)?;
        Ok(Self {
            device: fstat(&dir)?.st_dev,
            dir,
            lifted: 0,
            kept,
        })
    }

    /// Removes what one reading of the directory shows; `false` if that is nothing.
    fn remove_some(&mut self) -> io::Result<bool> {
        let dir = self.dir.try_clone()?;
        let mut removed = false;
        each_name(&dir, |name| {
            let bytes = name.to_bytes();
            if self.kept.iter().any(|kept| kept.as_bytes() == bytes) {
                return Ok(());
            }
            removed = true;
            if unlink(&dir, name)? {
                return Ok(());
            }
            let child = self.enter(&dir, name)?;
            while each_name(&child, |grandchild| {
                if unlink(&child, grandchild)? {
                    return Ok(());
                }
                // To move a directory is to write to it.
                self.enter(&child, grandchild)?;
                self.lift(&child, grandchild)
            })? {}
            // Open, it would have to be kept on disk until the close: milliseconds more on ext4.
            drop(child);
            Ok(unlinkat(&dir, name, UnlinkatFlags::RemoveDir)?)
        })?;
        Ok(removed)
    }

    /// Opens a directory below the top, after making it accessible.
    fn enter(&self, parent: &OwnedFd, name: &CStr) -> io::Result<OwnedFd> {
        let dir = match open(parent, name, OFlag::O_RDONLY) {
            Err(Errno::EACCES) => {
                let closed = open(parent, name, OFlag::O_PATH)?;
                // fchmod(2) refuses such a descriptor, and a name could be another's by now.
                let path = format!("/proc/self/fd/{}", closed.as_raw_fd());
                let follow = FchmodatFlags::FollowSymlink;
                fchmodat(AT_FDCWD, path.as_str(), Mode::S_IRWXU, follow)?;
                open(parent, name, OFlag::O_RDONLY)?
            }
            result => result?,
        };
        if fstat(&dir)?.st_dev != self.device {
            return Err(ErrorKind::CrossesDevices.into());
        }
        fchmod(&dir, Mode::S_IRWXU)?;
        Ok(dir)
    }

    /// Moves the directory `name` from `parent` to the top, by a name that is free there.
    fn lift(&mut self, parent: &OwnedFd, name: &CStr) -> io::Result<()> {
        loop {
            let free = format!("lifted-{}", self.lifted);
            self.lifted += 1;
            let no_replace = RenameFlags::RENAME_NOREPLACE;
            match renameat2(parent, name, &self.dir, free.as_str(), no_replace) {
                Err(Errno::EEXIST) => {}
                result => return Ok(result?),
            }
        }
    }
}

/// Opens the directory `name`, and nothing that a symbolic link leads to.
fn open<P: ?Sized + nix::NixPath>(
    parent: impl AsFd,
    name: &P,
    access: OFlag,
) -> nix::Result<OwnedFd> {
    let only_directory = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(parent, name, access | only_directory, Mode::empty())
}

/// Removes what is no directory; `false` if it is one.
fn unlink(dir: &OwnedFd, name: &CStr) -> nix::Result<bool> {
    match unlinkat(dir, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) => Ok(true),
        // What Linux answers; POSIX would have EPERM.
        Err(Errno::EISDIR) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads the directory once and calls `act` for each name, which may remove it; `false` if
/// there was none. Holds one name at a time: a workload may have made millions.
fn each_name(dir: &OwnedFd, mut act: impl FnMut(&CStr) -> io::Result<()>) -> io::Result<bool> {
    let mut seen = false;
    let mut reading = Dir::from_fd(open(dir, c".", OFlag::O_RDONLY)?)?;
    for entry in reading.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            seen = true;
            act(name)?;
        }
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use nix::sys::stat::mkdirat;

    use super::*;

    fn scratch() -> (tempfile::TempDir, std::path::PathBuf) {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path().join("tree");
        fs::create_dir(&dir).unwrap();
        (scratch, dir)
    }

    #[test]
    fn what_is_deeper_than_descriptors_and_paths_go_is_removed() {
        let (_scratch, dir) = scratch();
        // More than a process's 1024 descriptors, and more than the 4096 bytes of PATH_MAX.
        let mut at = open(AT_FDCWD, &dir, OFlag::O_RDONLY).unwrap();
        for _ in 0..1100 {
            mkdirat(&at, "deep", Mode::S_IRWXU).unwrap();
            at = open(&at, "deep", OFlag::O_RDONLY).unwrap();
        }
        tree(&dir).unwrap();
        assert!(!dir.exists());
    }

    #[test]
    fn what_a_symbolic_link_leads_to_stays() {
        let (scratch, dir) = scratch();
        let kept = scratch.path().join("kept");
        fs::create_dir_all(kept.join("inner")).unwrap();
        fs::create_dir(dir.join("sub")).unwrap();
        symlink(&kept, dir.join("link")).unwrap();
        symlink(&kept, dir.join("sub/link")).unwrap();
        tree(&dir).unwrap();
        assert!(!dir.exists());
        assert!(kept.join("inner").exists());
    }

    #[test]
    fn a_symbolic_link_in_place_of_the_directory_is_refused() {
        let (scratch, dir) = scratch();
        let link = scratch.path().join("link");
        symlink(&dir, &link).unwrap();
        assert!(tree(&link).is_err());
        assert!(dir.exists());
    }

    #[test]
    fn modes_keep_nothing_from_being_removed() {
        let (_scratch, dir) = scratch();
        fs::create_dir_all(dir.join("work/work/inner")).unwrap();
        fs::write(dir.join("work/file"), "").unwrap();
        for (name, mode) in [
            ("work/work/inner", 0o000),
            ("work/work", 0o000),
            ("work", 0o555),
        ] {
            fs::set_permissions(dir.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        tree(&dir).unwrap();
        assert!(!dir.exists());
    }

    #[test]
    fn names_of_an_interrupted_removal_are_no_obstacle() {
        let (_scratch, dir) = scratch();
        fs::create_dir_all(dir.join("lifted-0/a/b")).unwrap();
        fs::create_dir_all(dir.join("lifted-1/a/b")).unwrap();
        fs::create_dir_all(dir.join("z/a/b")).unwrap();
        tree(&dir).unwrap();
        assert!(!dir.exists());
    }

    #[test]
    fn what_is_kept_is_left_alone_at_the_top_and_nowhere_else() {
        let (_scratch, dir) = scratch();
        fs::create_dir_all(dir.join("a/log/b")).unwrap();
        fs::write(dir.join("log"), "x").unwrap();
        fs::write(dir.join("logs"), "x").unwrap();
        all_but(&dir, &["log", "status"]).unwrap();
        let left: Vec<_> = fs::read_dir(&dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["log"]);
    }

    #[test]
    fn more_names_than_one_reading_shows_are_removed() {
        let (_scratch, dir) = scratch();
        for index in 0..1500 {
            fs::write(dir.join(format!("file-{index}")), "").unwrap();
        }
        tree(&dir).unwrap();
        assert!(!dir.exists());
    }
}
