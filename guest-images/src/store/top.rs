//! Directories that a layer has though no entry of it describes them.
//!
//! A layer may hold `etc/app/config` and say nothing of `etc` and `etc/app`, which are in a layer
//! beneath. Unpacked by itself they must be made, and as the topmost of that name they would then
//! hide owner, permissions and times of those beneath. So an image with such layers gets one more
//! on top, which has just these directories, as they look in the layers that describe them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Timespec, Timestamps, XattrFlags, open, utimensat};
use rustix::fs::{lgetxattr, llistxattr, lsetxattr};
use rustix::io::Errno;

use super::layer::{Layer, LayerRecord};
use super::unpack::is_opaque;
use super::unpack::privileges::Privileges;
use super::{StoreError, io_error};

/// The directory of the tree in its place in an image's directory.
pub(super) const TREE: &str = "top";

/// Largest list of extended attributes, and largest value, in bytes: `XATTR_LIST_MAX` and
/// `XATTR_SIZE_MAX`, `include/uapi/linux/limits.h`.
const XATTR_MAX_BYTES: usize = 65536;

/// Makes the additional layer in `image`, if one is needed. `layers` has the lowest first.
pub(super) fn make(
    layers: &[Layer],
    records: &[LayerRecord],
    image: &Path,
) -> Result<(), StoreError> {
    let stack: Vec<_> = layers
        .iter()
        .zip(records)
        .map(|(layer, record)| Sheet {
            tree: layer.tree(),
            implicit: &record.implicit,
        })
        .rev()
        .collect();
    let wanted = wanted(&stack).map_err(io_error("compare layers for", image))?;
    if wanted.is_empty() {
        return Ok(());
    }
    let top = image.join(TREE);
    fs::create_dir(&top).map_err(io_error("make", &top))?;
    for path in wanted.keys().filter(|path| !path.as_os_str().is_empty()) {
        let dir = top.join(path);
        fs::create_dir(&dir).map_err(io_error("make", &dir))?;
    }
    // What lies deepest first, as a directory's times change with what is made in it.
    for (path, like) in wanted.iter().rev() {
        let dir = top.join(path);
        describe_like(like, &dir).map_err(io_error("make", &dir))?;
    }
    Ok(())
}

/// One layer of a stack that has the topmost first.
struct Sheet<'a> {
    tree: PathBuf,
    implicit: &'a BTreeSet<PathBuf>,
}

/// The directories that the additional layer must have, each with one that it is to look like.
fn wanted(stack: &[Sheet<'_>]) -> io::Result<BTreeMap<PathBuf, PathBuf>> {
    let mut wanted = BTreeMap::new();
    let implicit: BTreeSet<_> = stack.iter().flat_map(|sheet| sheet.implicit).collect();
    for path in implicit {
        let Some(found) = look_up(stack, path)? else {
            continue;
        };
        if let Some(described) = found.described
            && described != found.topmost
        {
            wanted.insert(path.clone(), described);
        }
    }
    // What they lie in must be there, too, and would hide what is beneath just as well.
    for path in wanted.keys().cloned().collect::<Vec<_>>() {
        for above in path.ancestors().skip(1) {
            if !wanted.contains_key(above)
                && let Some(found) = look_up(stack, above)?
            {
                let like = found.described.unwrap_or(found.topmost);
                wanted.insert(above.to_owned(), like);
            }
        }
    }
    Ok(wanted)
}

/// A directory of the merged layers.
struct Found {
    /// The one that overlayfs shows.
    topmost: PathBuf,
    /// The topmost one that an entry describes.
    described: Option<PathBuf>,
}

/// Looks for a directory as overlayfs does.
fn look_up(stack: &[Sheet<'_>], path: &Path) -> io::Result<Option<Found>> {
    let mut found: Option<Found> = None;
    for Sheet { tree, implicit } in stack {
        let (is_here, goes_on) = match look_in(tree, path)? {
            Look::Directory { opaque } => (true, !opaque),
            Look::Nothing { opaque } => (false, !opaque),
            Look::Covered => (false, false),
        };
        if is_here {
            let is_described = !implicit.contains(path);
            let here = tree.join(path);
            let found = found.get_or_insert_with(|| Found {
                topmost: here.clone(),
                described: None,
            });
            if is_described {
                found.described = Some(here);
                break;
            }
        }
        if !goes_on {
            break;
        }
    }
    Ok(found)
}

enum Look {
    /// It is there; if it is opaque, or lies in one that is, nothing beneath counts.
    Directory { opaque: bool },
    /// The layer does not have it.
    Nothing { opaque: bool },
    /// It, or what it lies in, is something else here or is deleted.
    Covered,
}

fn look_in(tree: &Path, path: &Path) -> io::Result<Look> {
    let mut here = tree.to_owned();
    let mut opaque = is_opaque_at(&here)?;
    for component in path.components() {
        // All before it were found to be directories, so no link is followed.
        here.push(component);
        match here.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => opaque |= is_opaque_at(&here)?,
            Ok(_) => return Ok(Look::Covered),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Look::Nothing { opaque });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Look::Directory { opaque })
}

fn is_opaque_at(dir: &Path) -> io::Result<bool> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    is_opaque(open(dir, flags, Mode::empty())?.as_fd())
}

/// Gives `dir` owner, permissions, attributes and times of `like`.
fn describe_like(like: &Path, dir: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(like)?;
    if Privileges::of_this_process().is_root {
        chown(dir, Some(metadata.uid()), Some(metadata.gid()))?;
    }
    fs::set_permissions(dir, Permissions::from_mode(metadata.mode() & 0o7777))?;
    let mut buffer = vec![0; XATTR_MAX_BYTES];
    let length = match llistxattr(like, &mut *buffer) {
        Err(Errno::OPNOTSUPP) => 0,
        length => length?,
    };
    let names = buffer[..length].to_vec();
    for name in names.split(|byte| *byte == 0).filter(|it| !it.is_empty()) {
        // That one is opaque says something of its own layer only.
        if !name.starts_with(b"trusted.overlay.") && !name.starts_with(b"user.overlay.") {
            let length = lgetxattr(like, name, &mut *buffer)?;
            lsetxattr(dir, name, &buffer[..length], XattrFlags::empty())?;
        }
    }
    let time = Timespec {
        tv_sec: metadata.mtime(),
        tv_nsec: metadata.mtime_nsec(),
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    Ok(utimensat(CWD, dir, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}
