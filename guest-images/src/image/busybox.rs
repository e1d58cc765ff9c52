//! The built-in image: Debian's static busybox under all its names, and the few files that make
//! a file system a root.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use launch::{Digest, Progress};
use sha2::{Digest as _, Sha256};

use super::elf;
use super::made;
use super::tree::{self, FileError};
use crate::cache::{Cache, CacheError};
use crate::debian_tool::{Tool, ToolError, install};
use crate::digest::DigestError;

const BUSYBOX: &str = "/bin/busybox";

/// The package that holds a busybox without shared libraries, of which the image has none.
const PACKAGE: &str = "busybox-static";

/// Goes up when the image is made differently from the same busybox.
const RECIPE: &[u8] = b"2";

const DIRECTORIES: &[(&str, u32)] = &[
    ("bin", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("sbin", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("usr/bin", 0o755),
    ("usr/sbin", 0o755),
    ("var", 0o755),
];

const FILES: &[(&str, &str)] = &[
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\n\
         daemon:x:1:1:daemon:/:/bin/false\n\
         www-data:x:33:33:www-data:/var:/bin/false\n\
         nobody:x:65534:65534:nobody:/:/bin/false\n",
    ),
    (
        "etc/group",
        "root:x:0:\ndaemon:x:1:\nwww-data:x:33:\nusers:x:100:\nnogroup:x:65534:\n",
    ),
    (
        "etc/os-release",
        "NAME=\"jaula busybox\"\nID=jaula-busybox\nPRETTY_NAME=\"jaula's built-in busybox image\"\n",
    ),
    ("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
];

/// Why the built-in image can't be made.
#[derive(Debug, thiserror::Error)]
pub enum BusyboxError {
    /// There is no busybox on this machine.
    #[error("the image busybox is made from {BUSYBOX}, which is not there")]
    Missing,
    /// It needs shared libraries, which the image does not have.
    #[error("the image busybox is made from {BUSYBOX}, which is not a static one")]
    Dynamic,
    /// It was replaced meanwhile.
    #[error("{BUSYBOX} changed while the image busybox was made from it")]
    Changed,
    /// It does not say what it can do.
    #[error(transparent)]
    Applets(#[from] ToolError),
    /// It says that it goes by a name which leads out of the image.
    #[error("{BUSYBOX} has an applet of the name {0:?}")]
    AppletName(String),
    /// A file can't be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// What was made can't be read.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl BusyboxError {
    pub(super) fn remedy(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Missing | Self::Dynamic => Some(install(PACKAGE)),
            _ => None,
        }
    }
}

/// The directory with the unpacked image, made from the host's busybox if it is not there, and
/// its digest.
pub(super) fn root(
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<(PathBuf, Digest), BusyboxError> {
    let name = identity()?;
    made::once(cache, &name, progress, |root| {
        progress.begin("making the image busybox");
        let made = read_busybox().and_then(|program| make(root, &program));
        progress.end();
        made?;
        // Only what was made from this busybox may have its name.
        match identity()? == name {
            true => Ok(()),
            false => Err(BusyboxError::Changed),
        }
    })
}

/// A digest of what tells an unchanged busybox without its two megabytes being read at each
/// launch: above all the change time, which the kernel moves at each change and nobody can set.
fn identity() -> Result<Digest, BusyboxError> {
    let metadata = fs::metadata(BUSYBOX).map_err(cannot_read)?;
    let mut hash = Sha256::new();
    hash.update(RECIPE);
    for number in [
        metadata.dev(),
        metadata.ino(),
        metadata.size(),
        metadata.mtime().cast_unsigned(),
        metadata.mtime_nsec().cast_unsigned(),
        metadata.ctime().cast_unsigned(),
        metadata.ctime_nsec().cast_unsigned(),
    ] {
        hash.update(number.to_le_bytes());
    }
    Ok(Digest::from_bytes(&hash.finalize()))
}

fn read_busybox() -> Result<Vec<u8>, BusyboxError> {
    fs::read(BUSYBOX).map_err(cannot_read)
}

fn cannot_read(error: io::Error) -> BusyboxError {
    match error.kind() {
        io::ErrorKind::NotFound => BusyboxError::Missing,
        _ => FileError::of("read", Path::new(BUSYBOX))(error).into(),
    }
}

fn make(root: &Path, program: &[u8]) -> Result<(), BusyboxError> {
    if elf::interpreter(program).is_some() {
        return Err(BusyboxError::Dynamic);
    }
    tree::make(root, DIRECTORIES, FILES)?;
    let busybox = root.join("bin/busybox");
    tree::write(&busybox, program, 0o755)?;
    for path in applets()? {
        let path = root.join(path);
        // Hard links and no symbolic ones: one inode, and none to follow at each execve.
        match fs::hard_link(&busybox, &path) {
            // busybox counts itself among its applets.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(FileError::of("make", &path)(error).into());
            }
            _ => {}
        }
    }
    set_times(root)
}

/// The paths that busybox goes by, relative to the root.
fn applets() -> Result<Vec<PathBuf>, BusyboxError> {
    let tool = Tool {
        program: BUSYBOX,
        package: PACKAGE,
    };
    let list = tool.run(["--list-full"])?.stdout;
    String::from_utf8_lossy(&list)
        .lines()
        // linuxrc, in the root itself, is for an initial RAM disk of a kind that is no more.
        .filter(|line| line.contains('/'))
        .map(|line| {
            let path = PathBuf::from(line);
            let normal = |component| matches!(component, Component::Normal(_));
            if path.components().all(normal) {
                Ok(path)
            } else {
                Err(BusyboxError::AppletName(line.to_owned()))
            }
        })
        .collect()
}

/// Everything gets the time of the busybox it was made from, so that the image is the same
/// wherever and whenever it is made.
fn set_times(root: &Path) -> Result<(), BusyboxError> {
    let busybox = Path::new(BUSYBOX);
    let metadata = fs::metadata(busybox).map_err(FileError::of("read", busybox))?;
    Ok(tree::set_times(root, metadata.mtime())?)
}

#[cfg(test)]
mod tests {
    use launch::NoProgress;
    use tempfile::TempDir;

    use super::*;
    use crate::digest;

    #[test]
    fn the_image_is_the_same_wherever_it_is_made() {
        let dir = TempDir::new().unwrap();
        let resolve = |name: &str| {
            let cache = Cache::new(dir.path().join(name), []);
            root(&cache, &NoProgress).unwrap()
        };
        let (a, b) = (resolve("a"), resolve("b"));
        assert_ne!(a.0, b.0);
        assert_eq!(a.1, b.1);
    }

    #[test]
    fn the_digest_that_is_kept_is_the_images() {
        let dir = TempDir::new().unwrap();
        let cache = Cache::new(dir.path(), []);
        let (path, kept) = root(&cache, &NoProgress).unwrap();
        let asked = digest::digest_of(&path, &cache, &NoProgress).unwrap();
        assert_eq!(kept, asked.digest);
        assert_eq!(root(&cache, &NoProgress).unwrap(), (path, kept));
    }

    #[test]
    fn the_image_has_a_shell_and_the_modes_of_a_root() {
        let dir = TempDir::new().unwrap();
        let (root, _) = root(&Cache::new(dir.path(), []), &NoProgress).unwrap();
        let metadata = |path: &str| fs::symlink_metadata(root.join(path)).unwrap();
        assert_eq!(metadata("bin/sh").ino(), metadata("bin/busybox").ino());
        assert!(!root.join("linuxrc").exists());
        assert_eq!(metadata("usr/bin/env").mode() & 0o7777, 0o755);
        assert_eq!(metadata("tmp").mode() & 0o7777, 0o1777);
        assert_eq!(metadata("root").mode() & 0o7777, 0o700);
        assert_eq!(metadata("etc/passwd").mode() & 0o7777, 0o644);
    }
}
