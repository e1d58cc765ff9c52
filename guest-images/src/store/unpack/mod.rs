//! From a tar archive to a directory in overlayfs's own format.
//!
//! Everything in the archive is hostile. No entry gets out of the directory ([`place`]), and none
//! makes us take memory of a size that it chose ([`tape`]).
//!
//! What a layer deletes from those beneath it is written as a file whose name begins with `.wh.`
//! (OCI image specification, layer.md, "Whiteouts"); overlayfs has a character device 0:0 for it,
//! and an attribute for a directory that hides all that is beneath it (kernel,
//! Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories").

mod attributes;
mod opaque;
mod pax;
mod place;
pub(crate) mod privileges;
mod sparse;
pub(super) mod tape;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Uid, chownat, linkat, makedev, mkdirat,
    mknodat, openat, symlinkat,
};
use rustix::io::Errno;

use super::limits::Budget;
use attributes::Kept;
pub(crate) use opaque::is_opaque;
use opaque::set_opaque;
pub use pax::InvalidPax;
pub use place::PlaceError;
use place::{Place, Times, Tree, clean, is_whiteout, set_times};
use privileges::Privileges;
pub use sparse::SparseError;
pub use tape::TapeError;
use tape::{Entry, Kind, Tape};

const WHITEOUT: &[u8] = b".wh.";

/// Of the aufs file system's own files, which layers were once taken from.
const AUFS: &[u8] = b".wh..wh.";

const OPAQUE: &[u8] = b".wh..wh..opq";

/// Most that is remembered of names of directories that no entry describes, in bytes.
const MAX_IMPLICIT_BYTES: usize = 64 << 20;

/// Why a layer can't be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The archive can't be read on.
    #[error(transparent)]
    Tape(#[from] TapeError),
    /// The image is larger than it may be.
    #[error(transparent)]
    TooLarge(#[from] super::limits::TooLarge),
    /// An entry has a place where nothing can be.
    #[error("can't unpack {path}")]
    Place {
        /// Its name.
        path: String,
        /// Why not.
        source: PlaceError,
    },
    /// It is a link to what is not in the layer.
    #[error("can't unpack {path}: it links to {target}, which its layer does not have")]
    NoTarget {
        /// Its name.
        path: String,
        /// What it links to.
        target: String,
    },
    /// It would delete what is no name.
    #[error("can't unpack {0}: it deletes no file that there could be")]
    Whiteout(String),
    /// overlayfs would take it for something else.
    #[error("can't unpack {0}: a device 0:0 would delete what is beneath it")]
    WhiteoutDevice(String),
    /// It is a device, and we are nobody.
    #[error("can't unpack {0}: it is a device node, which only root of the host may make")]
    Device(String),
    /// Nobody here is its owner.
    #[error(
        "can't unpack {path}: it belongs to user {uid} and group {gid}, and not both are there"
    )]
    Owner {
        /// Its name.
        path: String,
        /// Its user in the image.
        uid: u32,
        /// Its group in the image.
        gid: u32,
    },
    /// The system refused.
    #[error("can't unpack {path}")]
    Entry {
        /// Its name.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// The directory itself failed.
    #[error("can't unpack to {path}", path = path.display())]
    Root {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What became of a layer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Unpacked {
    /// Directories that no entry describes. An empty path is the root.
    pub(super) implicit: BTreeSet<PathBuf>,
    /// Whether owners or attributes were left out.
    pub(super) lost: bool,
    /// Whether it deletes anything of the layers beneath.
    pub(super) deletes: bool,
}

/// Unpacks the archive to `root`, an empty directory. The stream is given back where the archive
/// ended.
pub(super) fn unpack<R: Read>(
    stream: R,
    root: &Path,
    privileges: Privileges,
    budget: &Budget,
) -> Result<(Unpacked, R), UnpackError> {
    let failed = |source: io::Error| UnpackError::Root {
        path: root.to_owned(),
        source,
    };
    let tree = Tree::open(root, privileges.opaque_attribute()).map_err(failed)?;
    let epoch = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    set_times(tree.root(), Path::new(""), epoch).map_err(|errno| failed(errno.into()))?;
    let mut unpacking = Unpacking {
        tree,
        privileges,
        budget,
        unpacked: Unpacked::default(),
        implicit_bytes: 0,
    };
    let mut described = false;
    let mut tape = Tape::new(stream);
    while let Some(entry) = tape.next()? {
        budget.take_entry()?;
        let shown = shown(&entry.path);
        let path = clean(&entry.path).map_err(|source| UnpackError::Place {
            path: shown.clone(),
            source,
        })?;
        if path.as_os_str().is_empty() {
            described |= unpacking.root(&entry, shown)?;
        } else {
            unpacking.entry(&entry, &path, &mut tape, shown)?;
        }
    }
    let mut unpacked = unpacking.unpacked;
    if !described {
        unpacked.implicit.insert(PathBuf::new());
    }
    Ok((unpacked, tape.into_inner()))
}

/// A name as it can be shown in one line, whatever is in it.
fn shown(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path);
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect();
    const MOST: usize = 200;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

struct Unpacking<'a> {
    tree: Tree,
    privileges: Privileges,
    budget: &'a Budget,
    unpacked: Unpacked,
    /// How long the names of all directories are that no entry describes.
    implicit_bytes: usize,
}

impl Unpacking<'_> {
    /// What the archive says of the root itself; whether it says anything.
    fn root(&mut self, entry: &Entry, shown: String) -> Result<bool, UnpackError> {
        if entry.kind != Kind::Directory {
            return Err(UnpackError::Place {
                path: shown,
                source: PlaceError::Outside,
            });
        }
        let failed = |source| UnpackError::Entry {
            path: shown.clone(),
            source,
        };
        let place = Place {
            dir: self.tree.root(),
            name: ".".into(),
        };
        give_away(&place, entry, self.privileges, &shown)?;
        let kept = describe(&place, entry, self.privileges).map_err(failed)?;
        self.unpacked.lost |= kept == Kept::Some;
        Ok(true)
    }

    fn entry<R: Read>(
        &mut self,
        entry: &Entry,
        path: &Path,
        tape: &mut Tape<R>,
        shown: String,
    ) -> Result<(), UnpackError> {
        let failed = |source: io::Error| UnpackError::Entry {
            path: shown.clone(),
            source,
        };
        let misplaced = |source| UnpackError::Place {
            path: shown.clone(),
            source,
        };
        // A link's target is looked up first, as the place is lent from the tree.
        let target = match &entry.kind {
            Kind::HardLink(target) => Some(self.target(target, &shown)?),
            _ => None,
        };
        let Self {
            tree,
            budget,
            unpacked,
            privileges,
            implicit_bytes,
        } = self;
        let mut on_implicit = |path: &Path| {
            budget.take_entry()?;
            *implicit_bytes += path.as_os_str().len();
            if *implicit_bytes > MAX_IMPLICIT_BYTES {
                return Err(PlaceError::TooManyImplicit);
            }
            unpacked.implicit.insert(path.to_owned());
            Ok(())
        };
        let deletes = path
            .file_name()
            .is_some_and(|name| name.as_bytes().starts_with(WHITEOUT));
        let place = match tree.place(path, &mut on_implicit) {
            // What is no directory hides all that is beneath anyway; umoci says so twice.
            Err(PlaceError::NoDirectory) if deletes => return Ok(()),
            place => place.map_err(misplaced)?,
        };
        let name = place.name.as_os_str().as_bytes().to_vec();
        let times = Times::of(place.dir).map_err(|errno| failed(errno.into()))?;
        let done = |place: &Place<'_>| {
            let put_back = times.put_back(place.dir);
            put_back.map_err(|errno| failed(errno.into()))
        };

        if name == OPAQUE {
            unpacked.deletes = true;
            let hidden = Place {
                dir: place.dir,
                name: ".".into(),
            };
            set_opaque(&hidden.path(), privileges.opaque_attribute()).map_err(failed)?;
            return done(&place);
        }
        if name.starts_with(AUFS) {
            return Ok(());
        }
        if let Some(deleted) = name.strip_prefix(WHITEOUT) {
            unpacked.deletes = true;
            if matches!(deleted, b"" | b"." | b"..") {
                return Err(UnpackError::Whiteout(shown));
            }
            let deleted = Place {
                dir: place.dir,
                name: Path::new(std::ffi::OsStr::from_bytes(deleted)).to_owned(),
            };
            delete_beneath(&deleted, *privileges).map_err(failed)?;
            return done(&place);
        }

        let before = place.stat().map_err(|errno| match errno {
            Errno::NAMETOOLONG => misplaced(PlaceError::TooLong),
            errno => failed(errno.into()),
        })?;
        let mut hides = false;
        let mut is_there = false;
        let mut removed_directory = false;
        if let Some(stat) = before {
            let kind = FileType::from_raw_mode(stat.st_mode);
            is_there = kind == FileType::Directory && entry.kind == Kind::Directory;
            hides = is_whiteout(&stat) && entry.kind == Kind::Directory;
            if !is_there {
                // A file that is linked to itself stays what it is.
                if target.as_ref().is_some_and(|it| it.is(&stat)) {
                    return Ok(());
                }
                place.remove(&stat).map_err(failed)?;
                removed_directory = kind == FileType::Directory || kind == FileType::Symlink;
            }
        }
        if let Kind::SparseFile(map) = &entry.kind {
            // Whoever reads the file reads its holes, too.
            budget.take_bytes(map.hole_bytes())?;
        }
        match make(&place, entry, target.as_ref(), is_there, tape) {
            Ok(()) => {}
            Err(source) => match (&entry.kind, source.kind()) {
                (
                    Kind::CharDevice { .. } | Kind::BlockDevice { .. },
                    io::ErrorKind::PermissionDenied,
                ) => {
                    // Another directory is mounted there whenever the image runs.
                    if path.starts_with("dev") {
                        return done(&place);
                    }
                    return Err(UnpackError::Device(shown));
                }
                (Kind::CharDevice { major: 0, minor: 0 }, io::ErrorKind::InvalidInput) => {
                    return Err(UnpackError::WhiteoutDevice(shown));
                }
                _ => return Err(failed(source)),
            },
        }
        if target.is_none() {
            give_away(&place, entry, *privileges, &shown)?;
            let kept = describe(&place, entry, *privileges).map_err(failed)?;
            unpacked.lost |= kept == Kept::Some;
        }
        if hides {
            set_opaque(&place.path(), privileges.opaque_attribute()).map_err(failed)?;
        }
        done(&place)?;
        if entry.kind == Kind::Directory {
            unpacked.implicit.remove(path);
        }
        if removed_directory {
            let gone = unpacked.implicit.range(path.to_owned()..);
            let gone: Vec<_> = gone
                .take_while(|implicit| implicit.starts_with(path))
                .cloned()
                .collect();
            for implicit in gone {
                unpacked.implicit.remove(&implicit);
            }
            tree.forget();
        }
        Ok(())
    }

    /// What a hard link is to be another name of.
    fn target(&mut self, target: &[u8], shown_path: &str) -> Result<Target, UnpackError> {
        let misplaced = |source| UnpackError::Place {
            path: shown_path.to_owned(),
            source,
        };
        let missing = || UnpackError::NoTarget {
            path: shown_path.to_owned(),
            target: shown(target),
        };
        let path = clean(target).map_err(misplaced)?;
        if path.as_os_str().is_empty() {
            return Err(missing());
        }
        // A directory that would have to be made has no file in it.
        let nothing = |_: &Path| Err(PlaceError::Dangling);
        let place = match self.tree.place(&path, &mut { nothing }) {
            Err(PlaceError::Dangling) => return Err(missing()),
            place => place.map_err(misplaced)?,
        };
        let stat = place.stat().ok().flatten().ok_or_else(missing)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory || is_whiteout(&stat) {
            return Err(missing());
        }
        let failed = |errno: Errno| UnpackError::Entry {
            path: shown_path.to_owned(),
            source: errno.into(),
        };
        let dir = rustix::io::fcntl_dupfd_cloexec(place.dir, 0).map_err(failed)?;
        Ok(Target {
            dir,
            name: place.name,
            id: (stat.st_dev, stat.st_ino),
        })
    }
}

/// A file of the layer that another name is to be made for.
struct Target {
    dir: std::os::fd::OwnedFd,
    name: PathBuf,
    id: (u64, u64),
}

impl Target {
    fn is(&self, stat: &rustix::fs::Stat) -> bool {
        self.id == (stat.st_dev, stat.st_ino)
    }
}

/// Makes what the entry is, with nobody else's permissions yet.
fn make<R: Read>(
    place: &Place<'_>,
    entry: &Entry,
    target: Option<&Target>,
    is_there: bool,
    tape: &mut Tape<R>,
) -> io::Result<()> {
    let mode = Mode::RUSR | Mode::WUSR;
    let node = |kind, device| mknodat(place.dir, &place.name, kind, mode, device);
    match &entry.kind {
        Kind::Directory if is_there => {}
        Kind::Directory => mkdirat(place.dir, &place.name, Mode::RWXU)?,
        Kind::File | Kind::SparseFile(_) => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let flags = flags | OFlags::NOFOLLOW;
            let mut file: File = openat(place.dir, &place.name, flags, mode)?.into();
            match &entry.kind {
                Kind::SparseFile(map) => map.write(&mut tape.data(), &mut file)?,
                _ => drop(io::copy(&mut tape.data(), &mut file)?),
            }
        }
        Kind::Symlink(target) => symlinkat(target.as_slice(), place.dir, &place.name)?,
        Kind::HardLink(_) => {
            if let Some(target) = target {
                // Without AT_SYMLINK_FOLLOW: a link to a link is a second name of that.
                let flags = AtFlags::empty();
                linkat(&target.dir, &target.name, place.dir, &place.name, flags)?;
            }
        }
        Kind::CharDevice { major: 0, minor: 0 } => {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Kind::CharDevice { major, minor } => {
            node(FileType::CharacterDevice, makedev(*major, *minor))?;
        }
        Kind::BlockDevice { major, minor } => node(FileType::BlockDevice, makedev(*major, *minor))?,
        Kind::Fifo => node(FileType::Fifo, 0)?,
    }
    Ok(())
}

/// Gives what is at `place` to its owner, if that can be anybody else.
fn give_away(
    place: &Place<'_>,
    entry: &Entry,
    privileges: Privileges,
    shown: &str,
) -> Result<(), UnpackError> {
    if !privileges.is_root {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    let given = chownat(place.dir, &place.name, Some(uid), Some(gid), flags);
    given.map_err(|errno| match errno {
        // There is no such ID in the user namespace.
        Errno::INVAL => UnpackError::Owner {
            path: shown.to_owned(),
            uid: entry.uid,
            gid: entry.gid,
        },
        errno => UnpackError::Entry {
            path: shown.to_owned(),
            source: errno.into(),
        },
    })
}

/// Gives what is at `place`, which belongs to its owner by now, permissions, attributes and times.
fn describe(place: &Place<'_>, entry: &Entry, privileges: Privileges) -> io::Result<Kept> {
    let mut kept = Kept::All;
    if !privileges.is_root && (entry.uid, entry.gid) != (0, 0) {
        // Files of the image's root are the caller's, as in the user namespace that shows them.
        kept = Kept::Some;
    }
    let path = place.path();
    let is_link = matches!(entry.kind, Kind::Symlink(_));
    if !is_link {
        let mut mode = entry.mode;
        if entry.kind == Kind::Directory && !privileges.is_root {
            // Otherwise nothing could be put into it, nor removed with it.
            mode |= 0o700;
        }
        // After chown(2), which takes set-user-ID away, and by a path whose last name is no link.
        rustix::fs::chmod(&path, Mode::from_raw_mode(mode))?;
    }
    // After chown(2), too, which takes capabilities away.
    if attributes::set(&path, &entry.xattrs, privileges)? == Kept::Some {
        kept = Kept::Some;
    }
    set_times(place.dir, &place.name, entry.mtime)?;
    Ok(kept)
}

/// Deletes a name from the layers beneath. What this layer itself puts there stays.
fn delete_beneath(place: &Place<'_>, privileges: Privileges) -> io::Result<()> {
    let Some(stat) = place.stat()? else {
        return Ok(make_whiteout(place.dir, &place.name)?);
    };
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        set_opaque(&place.path(), privileges.opaque_attribute())?;
    }
    Ok(())
}

fn make_whiteout(dir: BorrowedFd<'_>, name: &Path) -> Result<(), Errno> {
    mknodat(
        dir,
        name,
        FileType::CharacterDevice,
        Mode::empty(),
        makedev(0, 0),
    )
}

#[cfg(test)]
mod tests;
