//! The disk image that a guest mounts as the lower layer of its root, made from the same
//! directory that a container uses.
//!
//! It is EROFS and not ext4: read-only by design, so there is no journal, no allocator and no
//! free space in it; its driver is small, and mounting takes one block and few instructions,
//! which counts where each costs a microsecond; `mkfs.erofs` reads a directory as any user,
//! without mounting anything, and keeps owners, modes, times, attributes, devices and hard
//! links. It is not compressed: the host's page cache then holds what guests read once for all
//! of them, and the guest need not decompress.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use launch::{Digest, Progress, RootFs};
use rustix::process::geteuid;

use crate::cache::{Cache, CacheError, Shelf, is_full};
use crate::debian_tool::{Tool, ToolError};
use crate::digest::{self, DigestError, TreeState};
use crate::merged_view::MergedView;
use crate::store::{self, StoreError};

const MKFS: Tool = Tool {
    program: "mkfs.erofs",
    package: "erofs-utils",
};

/// Why a disk image can't be made.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The image is no longer what it was when the workload was made.
    #[error("{} changed after it was chosen as the root", .0.display())]
    Changed(PathBuf),
    /// `mkfs.erofs` is not there, or failed.
    #[error("can't make a disk image from {}", dir.display())]
    Mkfs {
        /// What it was to be made from.
        dir: PathBuf,
        /// Why not.
        source: ToolError,
    },
    /// There is no room for it.
    #[error("no room in {} for the disk image", .0.display())]
    Full(PathBuf),
    /// What was written does not reach the disk.
    #[error("can't write the disk image {}", path.display())]
    Write {
        /// The unfinished image.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The image can't be read.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// What the store knows of a layer can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl DiskError {
    /// What the user can do about it.
    pub fn remedy(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Mkfs { source, .. } => source.remedy(),
            Self::Full(_) => Some("free some space there, or set JAULA_CACHE_DIR".into()),
            _ => None,
        }
    }
}

impl From<DiskError> for launch::Error {
    fn from(error: DiskError) -> Self {
        let remedy = error.remedy();
        Self::remedied(error, remedy)
    }
}

/// The disk image of `root`: a file to be attached read-only, never written to again.
///
/// # Errors
///
/// When it is not in the cache and can't be made.
pub fn disk_of(
    root: &RootFs,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<PathBuf, DiskError> {
    let name = format!("{}.erofs", root.digest);
    cache.get_or_make(Shelf::Disks, &name, progress, |path| {
        if store::is_stored(root) {
            return of_layers(root, path, progress);
        }
        let before = unchanged(root, cache, progress)?;
        progress.begin("making the disk image");
        let command = MKFS.command();
        let dir = root.layers.top();
        let made = make(command, dir, &root.digest, is_all_mine(&before), path);
        progress.end();
        made?;
        // Only what mkfs.erofs saw unchanged may have the digest's name.
        unchanged(root, cache, progress)?;
        Ok(())
    })
}

/// Of layers in the store, which never change. An ordinary user sees what is its own as root's.
fn of_layers(root: &RootFs, path: &Path, progress: &dyn Progress) -> Result<(), DiskError> {
    progress.begin("making the disk image");
    let made = match store::sole_directory(root)? {
        Some(dir) => {
            let all_root = !geteuid().is_root();
            make(MKFS.command(), dir, &root.digest, all_root, path)
        }
        None => of_merged(root, path),
    };
    progress.end();
    made
}

fn of_merged(root: &RootFs, path: &Path) -> Result<(), DiskError> {
    let failed = |source| DiskError::Write {
        path: path.to_owned(),
        source,
    };
    // Named like the unfinished disk, so that it is cleared with it.
    let mut point = path.as_os_str().to_owned();
    point.push(".layers");
    let point = PathBuf::from(point);
    fs::create_dir(&point).map_err(failed)?;
    let view = MergedView::new(&root.layers, &point).map_err(failed)?;
    let mut command = MKFS.command();
    // SAFETY: `enter` makes system calls and formats numbers into memory that it has; it takes no
    // lock and no memory.
    unsafe { command.pre_exec(move || view.enter()) };
    let made = make(command, &point, &root.digest, false, path);
    fs::remove_dir(&point).map_err(failed)?;
    made
}

fn unchanged(
    root: &RootFs,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<TreeState, DiskError> {
    let state = digest::digest_of(root.layers.top(), cache, progress)?;
    if state.digest == root.digest {
        Ok(state)
    } else {
        Err(DiskError::Changed(root.layers.top().to_owned()))
    }
}

/// Whether an ordinary user owns every file. Then they become root's on the disk, which is how
/// the user namespace of that user's container shows them.
fn is_all_mine(state: &TreeState) -> bool {
    let me = geteuid();
    !me.is_root() && state.sole_owner.is_some_and(|(uid, _)| uid == me.as_raw())
}

fn make(
    mut command: Command,
    dir: &Path,
    digest: &Digest,
    all_root: bool,
    path: &Path,
) -> Result<(), DiskError> {
    let mut args: Vec<OsString> = vec![
        "--quiet".into(),
        // Without it every file gets the time of the build.
        "--preserve-mtime".into(),
        // Not a random one, so that the same tree makes the same image.
        format!("-U{}", uuid(digest)).into(),
    ];
    if all_root {
        args.push("--all-root".into());
    }
    args.push(path.into());
    args.push(dir.into());
    command.args(&args);
    if let Err(source) = MKFS.run_command(command) {
        return Err(match path.parent() {
            Some(shelf) if is_full(shelf) => DiskError::Full(shelf.to_owned()),
            _ => DiskError::Mkfs {
                dir: dir.to_owned(),
                source,
            },
        });
    }
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|source| DiskError::Write {
            path: path.to_owned(),
            source,
        })
}

/// The first half of the digest in the form of a UUID.
fn uuid(digest: &Digest) -> String {
    let mut digits = digest.as_str().chars();
    let mut group = |length| digits.by_ref().take(length).collect::<String>();
    let groups = [8, 4, 4, 4, 12].map(&mut group);
    groups.join("-")
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
    use std::process::Command;

    use launch::NoProgress;
    use rustix::fs::{CWD, FileType, Mode, XattrFlags, makedev, mknodat, setxattr};
    use tempfile::TempDir;

    use super::*;
    use crate::store::Store;
    use crate::{ImageRef, Sources};

    fn root_of(image: &ImageRef, cache: &Cache) -> RootFs {
        let store = Store::new(cache.dir().join("images"));
        let sources = Sources::new(cache, &store);
        image.resolve(sources, &NoProgress).unwrap().root(false)
    }

    /// Something mounted, until it is dropped.
    struct Mounted(PathBuf);

    impl Mounted {
        fn new(at: &Path, args: &[&str]) -> Option<Self> {
            fs::create_dir_all(at).unwrap();
            let output = Command::new("mount").args(args).arg(at).output().unwrap();
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr);
                eprintln!("SKIPPED: can't mount {args:?} here, which takes root: {said}");
                return None;
            }
            Some(Self(at.to_owned()))
        }
    }

    impl Drop for Mounted {
        fn drop(&mut self) {
            // A child that another test is about to exec may have a file of it still.
            let mut umount = Command::new("umount");
            let status = umount.arg("--lazy").arg(&self.0).status().unwrap();
            assert!(status.success());
        }
    }

    fn names(dir: &Path) -> Vec<String> {
        let names = fs::read_dir(dir).unwrap();
        names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn the_disk_holds_all_that_the_digest_covers() {
        let dir = TempDir::new().unwrap();
        let root = dir.path().join("root");
        let at = |path: &str| root.join(path);
        fs::create_dir_all(at("dir/deep")).unwrap();
        fs::write(at("file"), vec![7; 10_000]).unwrap();
        fs::write(at("empty"), "").unwrap();
        fs::write(at("tail"), "a few bytes").unwrap();
        fs::hard_link(at("file"), at("dir/deep/same-file")).unwrap();
        symlink("../nowhere", at("dir/link")).unwrap();
        lchown(at("dir/link"), Some(70_000), Some(4)).ok();
        setxattr(at("tail"), "user.note", b"kept", XattrFlags::empty()).unwrap();
        mknodat(CWD, at("fifo"), FileType::Fifo, Mode::from(0o620), 0).unwrap();
        let Some(_) = Mounted::new(&dir.path().join("probe"), &["-t", "tmpfs", "none"]) else {
            return;
        };
        mknodat(
            CWD,
            at("null"),
            FileType::CharacterDevice,
            Mode::from(0o666),
            makedev(1, 3),
        )
        .unwrap();
        mknodat(
            CWD,
            at("disk"),
            FileType::BlockDevice,
            Mode::from(0o660),
            makedev(254, 1),
        )
        .unwrap();
        setxattr(
            at("empty"),
            "trusted.note",
            b"kept too",
            XattrFlags::empty(),
        )
        .unwrap();
        chown(at("file"), Some(100_000), Some(33)).unwrap();
        fs::set_permissions(at("file"), Permissions::from_mode(0o6711)).unwrap();
        fs::set_permissions(at("dir"), Permissions::from_mode(0o1770)).unwrap();

        let cache = Cache::new(dir.path().join("cache"), []);
        let image = root_of(&ImageRef::Directory(root), &cache);
        let disk = disk_of(&image, &cache, &NoProgress).unwrap();
        let mounted = dir.path().join("mounted");
        let Some(_mounted) = Mounted::new(
            &mounted,
            &["-o", "loop,ro", "-t", "erofs", disk.to_str().unwrap()],
        ) else {
            return;
        };
        let on_disk = digest::digest_of(&mounted, &cache, &NoProgress)
            .unwrap()
            .digest;
        assert_eq!(on_disk, image.digest);
    }

    #[test]
    fn a_full_disk_is_an_error_that_names_the_place_and_leaves_nothing() {
        let dir = TempDir::new().unwrap();
        let cache_dir = dir.path().join("cache");
        let options = &["-t", "tmpfs", "-o", "size=64k", "none"];
        let Some(_mounted) = Mounted::new(&cache_dir, options) else {
            return;
        };
        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("file"), vec![1; 1 << 20]).unwrap();
        let cache = Cache::new(&cache_dir, []);
        let image = root_of(&ImageRef::Directory(root), &cache);
        let error = disk_of(&image, &cache, &NoProgress).unwrap_err();
        assert!(matches!(error, DiskError::Full(_)), "{error:?}");
        assert_eq!(names(&cache_dir.join("disks")), [".lock"]);
    }

    #[test]
    fn a_root_that_changed_makes_no_disk() {
        let dir = TempDir::new().unwrap();
        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        let cache = Cache::new(dir.path().join("cache"), []);
        let image = root_of(&ImageRef::Directory(root.clone()), &cache);
        fs::write(root.join("file"), "").unwrap();
        let error = disk_of(&image, &cache, &NoProgress).unwrap_err();
        assert!(matches!(error, DiskError::Changed(_)), "{error:?}");
        assert_eq!(names(&cache.dir().join("disks")), [".lock"]);
    }

    #[test]
    fn two_who_want_the_same_disk_at_once_get_the_same() {
        let dir = TempDir::new().unwrap();
        let cache = Cache::new(dir.path().join("cache"), []);
        let image = root_of(&ImageRef::Busybox, &cache);
        let disks: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| disk_of(&image, &cache, &NoProgress).unwrap()))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(disks.iter().all(|disk| *disk == disks[0] && disk.is_file()));
        assert_eq!(names(&cache.dir().join("disks")).len(), 2);
    }

    #[test]
    fn a_uuid_is_made_of_the_digest() {
        let digest = Digest::from_bytes(&[0xab; 32]);
        assert_eq!(uuid(&digest), "abababab-abab-abab-abab-abababababab");
    }
}
