//! A file of a root that is made of several layers, found as overlayfs finds it.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use launch::Layers;
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, open, openat2, readlinkat, statat,
};
use rustix::io::Errno;

use crate::store::is_opaque;

/// As many links as the kernel follows, `MAXSYMLINKS`, include/linux/namei.h.
const MAX_LINKS: usize = 40;

/// Opens the file at `path` to be read, with links followed inside the root. A directory is
/// `EISDIR`.
pub(crate) fn open_in_layers(layers: &Layers, path: &Path) -> io::Result<File> {
    let roots: Vec<OwnedFd> = layers
        .iter()
        .map(|layer| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            open(layer, flags, Mode::empty())
        })
        .collect::<Result<_, _>>()?;
    let all: Vec<usize> = (0..roots.len()).collect();
    // Directories from the root to where we are, each with the layers that make it up.
    let mut way: Vec<(OsString, Vec<usize>)> = Vec::new();
    let mut to_do: VecDeque<OsString> = names(path).collect();
    let mut links = 0;
    while let Some(name) = to_do.pop_front() {
        if name == ".." {
            way.pop();
            continue;
        }
        let here: PathBuf = way.iter().map(|(name, _)| name).collect();
        let in_layers = way.last().map_or(&all, |(_, layers)| layers);
        match look_up(&roots, in_layers, &here.join(&name))? {
            Found::Directory(layers) => way.push((name, layers)),
            Found::Link(target) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::LOOP.into());
                }
                if target.is_absolute() {
                    way.clear();
                }
                for name in names(&target).rev() {
                    to_do.push_front(name);
                }
            }
            Found::File(file) if to_do.is_empty() => return Ok(file),
            Found::File(_) => return Err(Errno::NOTDIR.into()),
        }
    }
    Err(Errno::ISDIR.into())
}

/// The parts of a path that lead somewhere.
fn names(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    })
}

enum Found {
    /// Made up by these layers.
    Directory(Vec<usize>),
    Link(PathBuf),
    File(File),
}

/// What is at `path`, no part of which is a link, in the topmost of these layers that says
/// anything of it.
fn look_up(roots: &[OwnedFd], layers: &[usize], path: &Path) -> io::Result<Found> {
    let mut directories = Vec::new();
    for &layer in layers {
        let root = &roots[layer];
        let found = match open_beneath(root, path, OFlags::PATH | OFlags::NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            found => found?,
        };
        let stat = statat(&found, "", AtFlags::EMPTY_PATH)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        match kind {
            FileType::Directory => {
                directories.push(layer);
                if is_opaque(found.as_fd())? {
                    break;
                }
            }
            // Something else beneath a directory is hidden by it.
            _ if !directories.is_empty() => break,
            FileType::CharacterDevice if stat.st_rdev == 0 => break,
            FileType::Symlink => {
                let target = readlinkat(&found, "", Vec::new())?;
                let target = OsString::from_vec(target.into_bytes());
                return Ok(Found::Link(target.into()));
            }
            _ => {
                // A pipe is not waited for.
                let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
                return Ok(Found::File(open_beneath(root, path, flags)?.into()));
            }
        }
    }
    if directories.is_empty() {
        return Err(Errno::NOENT.into());
    }
    Ok(Found::Directory(directories))
}

fn open_beneath(root: &OwnedFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    // Links were resolved before, in all layers together.
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let resolve = resolve | ResolveFlags::NO_MAGICLINKS;
    match openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
        // With O_NOFOLLOW and O_PATH the last name may be a link.
        Err(Errno::LOOP) if flags.contains(OFlags::PATH) => {
            let parent = path.parent().unwrap_or(Path::new(""));
            let Some(name) = path.file_name() else {
                return Err(Errno::INVAL);
            };
            if parent.as_os_str().is_empty() {
                return rustix::fs::openat(root, name, flags | OFlags::CLOEXEC, Mode::empty());
            }
            let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let parent = openat2(root, parent, directory, Mode::empty(), resolve)?;
            rustix::fs::openat(&parent, name, flags | OFlags::CLOEXEC, Mode::empty())
        }
        opened => opened,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, XattrFlags, lsetxattr, mknodat};
    use tempfile::TempDir;

    use super::*;
    use crate::store::Privileges;

    /// Layers of files, the topmost first: a name with `->` is a link, one with `-` before it a
    /// deletion, one with `!` a directory that hides what is beneath.
    fn read(layers: &[&[&str]], path: &str) -> Result<String, io::ErrorKind> {
        let dir = TempDir::new().unwrap();
        let mut trees = Vec::new();
        for (index, entries) in layers.iter().enumerate() {
            let tree = dir.path().join(index.to_string());
            fs::create_dir(&tree).unwrap();
            for entry in *entries {
                make(&tree, entry, index);
            }
            trees.push(tree);
        }
        let top = trees.remove(0);
        let mut text = String::new();
        open_in_layers(&Layers::new(top, trees), Path::new(path))
            .and_then(|mut file| file.read_to_string(&mut text))
            .map_err(|error| error.kind())?;
        Ok(text)
    }

    fn make(tree: &Path, entry: &str, index: usize) {
        let parent = |path: &Path| fs::create_dir_all(path.parent().unwrap()).unwrap();
        if let Some((link, target)) = entry.split_once("->") {
            parent(&tree.join(link));
            symlink(target, tree.join(link)).unwrap();
        } else if let Some(deleted) = entry.strip_prefix('-') {
            let path = tree.join(deleted);
            parent(&path);
            mknodat(CWD, path, FileType::CharacterDevice, Mode::empty(), 0).unwrap();
        } else if let Some(opaque) = entry.strip_prefix('!') {
            let path = tree.join(opaque);
            fs::create_dir_all(&path).unwrap();
            let name = Privileges::of_this_process().opaque_attribute();
            lsetxattr(path, name, b"y", XattrFlags::empty()).unwrap();
        } else {
            parent(&tree.join(entry));
            fs::write(tree.join(entry), index.to_string()).unwrap();
        }
    }

    #[test]
    fn the_topmost_layer_that_says_anything_of_a_name_decides() {
        use io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
        for (layers, expected) in [
            (&[&["etc/passwd"][..], &["etc/passwd"]][..], Ok("0")),
            (&[&["etc/group"], &["etc/passwd"]], Ok("1")),
            (&[&["-etc/passwd"], &["etc/passwd"]], Err(NotFound)),
            (&[&["-etc"], &["etc/passwd"]], Err(NotFound)),
            (&[&["!etc"], &["etc/passwd"]], Err(NotFound)),
            (&[&["etc"], &["etc/passwd"]], Err(NotADirectory)),
            (&[&["etc/a"], &["-etc"], &["etc/passwd"]], Err(NotFound)),
            (&[&["etc/a"], &["etc"], &["etc/passwd"]], Err(NotFound)),
            (&[&["etc/passwd/a"], &["etc/passwd"]], Err(IsADirectory)),
        ] {
            let expected = expected.map(str::to_owned);
            assert_eq!(read(layers, "etc/passwd"), expected, "{layers:?}");
        }
    }

    #[test]
    fn links_are_followed_through_all_layers_and_stay_in_the_root() {
        for (layers, expected) in [
            (&[&["etc->usr/etc"][..], &["usr/etc/passwd"]][..], "1"),
            (&[&["etc/passwd->/a"], &["a"]], "1"),
            (&[&["a"], &["etc/passwd->../../../../a"]], "0"),
            (&[&["b/c"], &["etc/passwd->../b/../b/./c"]], "0"),
            (
                &[&["a->b"], &["b->/c/d"], &["etc/passwd->../a", "c/d"]],
                "2",
            ),
        ] {
            let read = read(layers, "etc/passwd");
            assert_eq!(read.as_deref(), Ok(expected), "{layers:?}");
        }
        let circle = read(&[&["etc/passwd->../a"], &["a->etc/passwd"]], "etc/passwd");
        assert!(circle.is_err());
    }
}
