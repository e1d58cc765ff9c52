use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use entry::open_in_root;
use launch::Layers;
use rustix::fs::{Mode, OFlags, ResolveFlags, open};

use super::open_in_layers::open_in_layers;

/// Largest file that is read, in bytes: some fifty thousand users.
const MAX_BYTES: u64 = 4 << 20;

/// A file of the image that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("can't read /{} of the image", path.display())]
pub struct ReadInRootError {
    path: PathBuf,
    source: io::Error,
}

/// Reads the regular file at `path` inside a root made of these layers; a missing one is as good as an empty one.
///
/// The image may have made anything of it: a link out of the root, a pipe that nobody writes to,
/// a device, an endless file. The kernel resolves the path with `root` as its `/`, nothing is
/// waited for, and no more than [`MAX_BYTES`] is read.
pub(super) fn read_in_root(layers: &Layers, path: &Path) -> Result<Vec<u8>, ReadInRootError> {
    let opened = match layers.only() {
        Some(root) => open_directory(root).and_then(|root| open_in_directory(root.as_fd(), path)),
        None => open_in_layers(layers, path),
    };
    absent_as_empty(opened, path)
}

/// The same, of a root that is open, in which others may change everything meanwhile.
pub(super) fn read_in_directory(
    root: BorrowedFd<'_>,
    path: &Path,
) -> Result<Vec<u8>, ReadInRootError> {
    absent_as_empty(open_in_directory(root, path), path)
}

fn absent_as_empty(opened: io::Result<File>, path: &Path) -> Result<Vec<u8>, ReadInRootError> {
    match opened.and_then(read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        result => result.map_err(|source| ReadInRootError {
            path: path.to_owned(),
            source,
        }),
    }
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(open(path, flags, Mode::empty())?)
}

fn open_in_directory(root: BorrowedFd<'_>, path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    Ok(open_in_root(root, path, flags, ResolveFlags::empty())?.into())
}

fn read(file: File) -> io::Result<Vec<u8>> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a regular file",
        ));
    }
    let mut contents = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut contents)?;
    if contents.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {MAX_BYTES} bytes"),
        ));
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, FileType, mknodat};
    use tempfile::TempDir;

    use super::*;

    fn root() -> (TempDir, PathBuf) {
        let dir = TempDir::new().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::write(dir.path().join("outside"), "outside").unwrap();
        fs::write(root.join("inside"), "inside").unwrap();
        (dir, root)
    }

    fn passwd(root: &Path) -> Result<String, io::ErrorKind> {
        read_in_root(&root.to_owned().into(), Path::new("etc/passwd"))
            .map(|contents| String::from_utf8(contents).unwrap())
            .map_err(|error| error.source.kind())
    }

    #[test]
    fn links_stay_in_the_root() {
        for (target, contents) in [
            ("../inside", "inside"),
            ("/inside", "inside"),
            ("../../../../inside", "inside"),
            ("../../outside", ""),
            ("/etc/passwd-that-is-not-there", ""),
        ] {
            let (_dir, root) = root();
            symlink(target, root.join("etc/passwd")).unwrap();
            assert_eq!(passwd(&root), Ok(contents.into()), "{target}");
        }
    }

    #[test]
    fn only_a_regular_file_is_read_and_nothing_is_waited_for() {
        let (_dir, root) = root();
        fs::create_dir(root.join("etc/passwd")).unwrap();
        assert_eq!(passwd(&root), Err(io::ErrorKind::InvalidInput));
        fs::remove_dir(root.join("etc/passwd")).unwrap();
        mknodat(CWD, root.join("etc/passwd"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert_eq!(passwd(&root), Err(io::ErrorKind::InvalidInput));
    }

    #[test]
    fn an_endless_file_is_refused() {
        let (_dir, root) = root();
        let file = File::create(root.join("etc/passwd")).unwrap();
        file.set_len(1 << 40).unwrap();
        assert_eq!(passwd(&root), Err(io::ErrorKind::FileTooLarge));
    }

    #[test]
    fn a_loop_of_links_is_an_error() {
        let (_dir, root) = root();
        symlink("passwd", root.join("etc/passwd")).unwrap();
        let error = read_in_root(&root.clone().into(), Path::new("etc/passwd")).unwrap_err();
        let errno = rustix::io::Errno::LOOP.raw_os_error();
        assert_eq!(error.source.raw_os_error(), Some(errno));
    }
}
