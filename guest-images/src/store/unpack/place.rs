//! Places in the directory that a layer is unpacked to.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use entry::open_in_root;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, mkdirat,
    openat, statat, unlinkat, utimensat,
};
use rustix::io::Errno;

use super::opaque::set_opaque;

/// Of a directory that no entry describes: what docker makes.
const IMPLICIT_MODE: Mode = Mode::from_raw_mode(0o755);

/// 1970, so that the same layer is unpacked to the same tree.
const EPOCH: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// Why there is no such place.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// It would be outside.
    #[error("it leads out of the image")]
    Outside,
    /// No file system takes it.
    #[error("its name is too long")]
    TooLong,
    /// A part of the path is a link to nothing.
    #[error("it lies behind a link that leads nowhere in its layer")]
    Dangling,
    /// A part of the path is something else.
    #[error("it lies in what is no directory")]
    NoDirectory,
    /// The system refused.
    #[error("can't make the directory that it lies in")]
    System(#[source] io::Error),
    /// Too many names would have to be remembered.
    #[error("there are too many directories that no entry describes")]
    TooManyImplicit,
    /// There are too many directories.
    #[error(transparent)]
    TooLarge(#[from] super::super::limits::TooLarge),
}

/// The root of a layer. The kernel resolves every path in it as if it was `/`, and no path leads
/// out of it, whatever links an image has laid.
pub(super) struct Tree {
    root: OwnedFd,
    /// The directory of the last entry: most of the next ones lie there, too.
    last: Option<(PathBuf, OwnedFd)>,
    /// See [`super::privileges::Privileges::opaque_attribute`].
    opaque_attribute: &'static str,
}

/// A name in a directory.
pub(super) struct Place<'a> {
    pub(super) dir: BorrowedFd<'a>,
    pub(super) name: PathBuf,
}

/// Directories that had to be made though no entry describes them.
pub(super) type OnImplicit<'a> = &'a mut dyn FnMut(&Path) -> Result<(), PlaceError>;

impl Tree {
    pub(super) fn open(root: &Path, opaque_attribute: &'static str) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = openat(CWD, root, flags, Mode::empty())?;
        Ok(Self {
            root,
            last: None,
            opaque_attribute,
        })
    }

    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// What was resolved may now lead elsewhere.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    /// Where `path` lies, which must be clean (see [`clean`]) and not the root. Directories on
    /// the way that are not there are made.
    pub(super) fn place<'a>(
        &'a mut self,
        path: &Path,
        on_implicit: OnImplicit<'_>,
    ) -> Result<Place<'a>, PlaceError> {
        let name = path.file_name().ok_or(PlaceError::Outside)?.into();
        let parent = path.parent().unwrap_or(Path::new(""));
        if parent.as_os_str().is_empty() {
            return Ok(Place {
                dir: self.root.as_fd(),
                name,
            });
        }
        let known = matches!(&self.last, Some((path, _)) if path == parent);
        if !known {
            let dir = self.directory(parent, on_implicit)?;
            self.last = Some((parent.to_owned(), dir));
        }
        let dir = match &self.last {
            Some((_, dir)) => dir.as_fd(),
            None => self.root.as_fd(),
        };
        Ok(Place { dir, name })
    }

    /// The directory at `path`, made with all that it lies in.
    fn directory(&self, path: &Path, on_implicit: OnImplicit<'_>) -> Result<OwnedFd, PlaceError> {
        match self.enter(path) {
            // A deletion is no directory.
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            entered => return entered.map_err(refused),
        }
        let mut so_far = PathBuf::new();
        let mut dir: Option<OwnedFd> = None;
        for component in path.components() {
            so_far.push(component);
            let place = Place {
                dir: dir.as_ref().unwrap_or(&self.root).as_fd(),
                name: component.as_os_str().into(),
            };
            let next = match self.enter(&so_far) {
                Err(Errno::NOENT | Errno::NOTDIR) => {
                    on_implicit(&so_far)?;
                    self.make_implicit(&place)?;
                    self.enter(&so_far).map_err(refused)?
                }
                entered => entered.map_err(refused)?,
            };
            dir = Some(next);
        }
        dir.ok_or(PlaceError::Outside)
    }

    /// Makes a directory that no entry describes.
    fn make_implicit(&self, place: &Place<'_>) -> Result<(), PlaceError> {
        let times = Times::of(place.dir).map_err(refused)?;
        let hides = match place.stat().map_err(refused)? {
            None => false,
            Some(stat) if is_whiteout(&stat) => {
                place.remove(&stat).map_err(PlaceError::System)?;
                true
            }
            Some(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {
                return Err(PlaceError::Dangling);
            }
            Some(_) => return Err(PlaceError::NoDirectory),
        };
        mkdirat(place.dir, &place.name, IMPLICIT_MODE).map_err(refused)?;
        if hides {
            set_opaque(&place.path(), self.opaque_attribute).map_err(PlaceError::System)?;
        }
        set_times(place.dir, &place.name, EPOCH).map_err(refused)?;
        times.put_back(place.dir).map_err(refused)
    }

    fn enter(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        open_in_root(&self.root, path, flags, ResolveFlags::NO_XDEV)
    }
}

fn refused(errno: Errno) -> PlaceError {
    match errno {
        Errno::NAMETOOLONG => PlaceError::TooLong,
        errno => PlaceError::System(errno.into()),
    }
}

impl Place<'_> {
    /// What is there, its last link not followed.
    pub(super) fn stat(&self) -> Result<Option<Stat>, Errno> {
        match statat(self.dir, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Removes what is there.
    pub(super) fn remove(&self, stat: &Stat) -> io::Result<()> {
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            // It follows no link.
            std::fs::remove_dir_all(self.path())
        } else {
            Ok(unlinkat(self.dir, &self.name, AtFlags::empty())?)
        }
    }

    /// For calls that take no directory. All but the name is fixed by the descriptor; whether a
    /// link of that name is followed is up to the call.
    pub(super) fn path(&self) -> PathBuf {
        Path::new("/proc/self/fd")
            .join(self.dir.as_raw_fd().to_string())
            .join(&self.name)
    }
}

/// The times of a directory, which change with each entry that is made in it.
pub(super) struct Times(Timestamps);

impl Times {
    pub(super) fn of(dir: BorrowedFd<'_>) -> Result<Self, Errno> {
        let stat = statat(dir, "", AtFlags::EMPTY_PATH)?;
        let last_access = Timespec {
            tv_sec: stat.st_atime as i64,
            tv_nsec: stat.st_atime_nsec as i64,
        };
        let last_modification = Timespec {
            tv_sec: stat.st_mtime as i64,
            tv_nsec: stat.st_mtime_nsec as i64,
        };
        Ok(Self(Timestamps {
            last_access,
            last_modification,
        }))
    }

    pub(super) fn put_back(&self, dir: BorrowedFd<'_>) -> Result<(), Errno> {
        utimensat(dir, "", &self.0, AtFlags::EMPTY_PATH)
    }
}

/// Sets both times of `name` in `dir`, or of `dir` itself if the name is empty.
pub(super) fn set_times(dir: BorrowedFd<'_>, name: &Path, time: Timespec) -> Result<(), Errno> {
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    let flags = if name.as_os_str().is_empty() {
        AtFlags::EMPTY_PATH
    } else {
        AtFlags::SYMLINK_NOFOLLOW
    };
    utimensat(dir, name, &times, flags)
}

/// Whether it is how overlayfs writes that a name is deleted.
pub(super) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// An entry's name as a path from the layer's root; empty for the root itself. A leading slash
/// stands for that root, and what climbs up again is taken away by its letters, as docker does it.
///
/// # Errors
///
/// When it climbs out of the root: nobody but an attacker writes that into a layer.
pub(super) fn clean(name: &[u8]) -> Result<PathBuf, PlaceError> {
    // Both are the kernel's, include/uapi/linux/limits.h. The name goes after another directory.
    const PATH_MAX: usize = 4096;
    const NAME_MAX: usize = 255;
    if name.len() >= PATH_MAX {
        return Err(PlaceError::TooLong);
    }
    let mut path = PathBuf::new();
    for component in name.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." if path.pop() => {}
            b".." => return Err(PlaceError::Outside),
            component if component.len() > NAME_MAX => return Err(PlaceError::TooLong),
            component => path.push(std::ffi::OsStr::from_bytes(component)),
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_cleaned_or_refused() {
        for (name, path) in [
            ("a/b", Some("a/b")),
            ("./a//b/", Some("a/b")),
            ("./", Some("")),
            ("..a/b..", Some("..a/b..")),
            ("/a", Some("a")),
            ("//./a", Some("a")),
            ("/", Some("")),
            ("a/../b", Some("b")),
            ("a/..", Some("")),
            ("..", None),
            ("/..", None),
            ("a/../../b", None),
        ] {
            let cleaned = clean(name.as_bytes()).ok();
            assert_eq!(cleaned, path.map(PathBuf::from), "{name}");
        }
        assert!(matches!(clean(&[b'a'; 256]), Err(PlaceError::TooLong)));
        assert!(matches!(
            clean(&b"a/".repeat(2048)),
            Err(PlaceError::TooLong)
        ));
    }

    proptest! {
        #[test]
        fn a_clean_name_only_goes_down(name in "[a./]{0,30}") {
            if let Ok(path) = clean(name.as_bytes()) {
                let down = |component| matches!(component, std::path::Component::Normal(_));
                prop_assert!(path.components().all(down), "{path:?}");
            }
        }
    }
}
