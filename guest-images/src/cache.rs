//! What is made once and used by many launches: a directory with a shelf for each kind of thing,
//! and on it one entry for each digest.
//!
//! An entry is made under another name and renamed when it is complete, so whatever has an
//! entry's name may be used. One lock a shelf is held while making: two processes that want the
//! same entry make it once, and whoever holds the lock knows that every unfinished thing on the
//! shelf was left by a process that was killed.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use host::locked::{Attempt, Locked, lock_file};
use launch::Progress;
use rustix::fs::statvfs;

/// How the name of an unfinished entry begins. Entries are named by digests, so none begins so.
const UNFINISHED: &str = ".making-";

/// The lock of a shelf, held while something is made or cleared away.
const LOCK: &str = ".lock";

/// Why the cache can't be used.
#[derive(Debug, thiserror::Error)]
#[error("can't {action} {path}", path = path.display())]
pub struct CacheError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl CacheError {
    fn because(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// One kind of cached things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shelf {
    /// Built-in images, unpacked.
    Images,
    /// Digests of trees, by what tells an unchanged tree.
    Digests,
    /// Disk images.
    Disks,
    /// Guest kernels.
    Kernels,
    /// Initial RAM file systems.
    Inits,
    /// Machines that wait for a workload.
    Templates,
}

impl Shelf {
    const ALL: [Self; 6] = [
        Self::Images,
        Self::Digests,
        Self::Disks,
        Self::Kernels,
        Self::Inits,
        Self::Templates,
    ];

    fn dir_name(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Digests => "digests",
            Self::Disks => "disks",
            Self::Kernels => "kernels",
            Self::Inits => "inits",
            Self::Templates => "templates",
        }
    }

    fn mode(self) -> u32 {
        match self {
            Self::Images | Self::Kernels | Self::Inits => 0o755,
            // A disk holds files of an image that only its owner may be allowed to read; what is
            // in a template's memory, such as the state of its random numbers, is nobody else's.
            Self::Disks | Self::Digests | Self::Templates => 0o700,
        }
    }
}

/// Where cached things are: the caller's own cache, and others that are only looked into.
#[derive(Clone, Debug)]
pub struct Cache {
    own: PathBuf,
    others: Vec<PathBuf>,
}

impl Cache {
    /// A cache in `own`, which is made when something is first put there. In `others` (the
    /// system's, for an ordinary user) a kernel may be found; nothing is written to them, and
    /// they must belong to somebody the caller trusts.
    pub fn new(own: impl Into<PathBuf>, others: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            own: own.into(),
            others: others.into_iter().collect(),
        }
    }

    /// The directory that is written to.
    pub fn dir(&self) -> &Path {
        &self.own
    }

    /// Removes what processes that were killed left unfinished. What is being made now stays.
    ///
    /// # Errors
    ///
    /// When a leftover can't be removed.
    pub fn sweep(&self) -> Result<(), CacheError> {
        for shelf in Shelf::ALL {
            let dir = self.own.join(shelf.dir_name());
            let path = dir.join(LOCK);
            let attempt =
                Locked::try_exclusive(&path).map_err(CacheError::because("lock", &path))?;
            match attempt {
                Attempt::Locked(_lock) => clear_unfinished(&dir)?,
                // Somebody is at work, and clears up before; or nothing was ever made here.
                Attempt::Held | Attempt::Gone => {}
            }
        }
        Ok(())
    }

    /// The entry, if the own cache has it.
    pub fn find(&self, shelf: Shelf, name: &str) -> Option<PathBuf> {
        find_in(&self.own, shelf, name)
    }

    /// The entry, if this cache or one of the others has it.
    pub(crate) fn find_anywhere(&self, shelf: Shelf, name: &str) -> Option<PathBuf> {
        self.find(shelf, name).or_else(|| {
            self.others
                .iter()
                .find_map(|cache| find_in(cache, shelf, name))
        })
    }

    /// All entries of the own cache, the newest first.
    pub fn entries(&self, shelf: Shelf) -> Vec<PathBuf> {
        entries_of(&self.own.join(shelf.dir_name()))
    }

    /// All entries of this cache and then of the others, the newest first in each.
    pub(crate) fn entries_anywhere(&self, shelf: Shelf) -> Vec<PathBuf> {
        std::iter::once(&self.own)
            .chain(&self.others)
            .flat_map(|cache| entries_of(&cache.join(shelf.dir_name())))
            .collect()
    }

    /// The entry, which `make` makes at the path it is given if nobody has made it yet. What it
    /// makes must be on the disk when it returns, so that not even a crash leaves half of it.
    ///
    /// # Errors
    ///
    /// When it can't be made, or its shelf can't be written to.
    pub fn get_or_make<E: From<CacheError>>(
        &self,
        shelf: Shelf,
        name: &str,
        progress: &dyn Progress,
        make: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<PathBuf, E> {
        if let Some(found) = self.find(shelf, name) {
            return Ok(found);
        }
        let dir = self.own.join(shelf.dir_name());
        make_dir(&self.own, 0o755)?;
        make_dir(&dir, shelf.mode())?;
        let _lock = lock(&dir, progress)?;
        // Whoever had the lock before may have made it.
        if let Some(found) = self.find(shelf, name) {
            return Ok(found);
        }
        // Of a kernel's source there may be much.
        progress.begin("clearing away what was left unfinished");
        let cleared = clear_unfinished(&dir);
        progress.end();
        cleared?;
        let unfinished = dir.join(format!("{UNFINISHED}{name}"));
        let path = dir.join(name);
        let made = make(&unfinished).and_then(|()| {
            fs::rename(&unfinished, &path).map_err(CacheError::because("make", &path))?;
            Ok(())
        });
        if let Err(error) = made {
            // The reason why it could not be made is the one to tell; what can't be removed now
            // is removed by the next one.
            let _ = clear_unfinished(&dir);
            return Err(error);
        }
        Ok(path)
    }

    /// Forgets an entry, if it is there: another may forget it at the same time.
    ///
    /// # Errors
    ///
    /// When it can't be removed.
    pub fn forget(&self, shelf: Shelf, name: &str) -> Result<(), CacheError> {
        let path = self.own.join(shelf.dir_name()).join(name);
        match remove(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(CacheError::because("remove", &path)),
        }
    }
}

fn find_in(cache: &Path, shelf: Shelf, name: &str) -> Option<PathBuf> {
    let path = cache.join(shelf.dir_name()).join(name);
    path.symlink_metadata().is_ok().then_some(path)
}

/// What is on a shelf, if anything ever was.
fn entries_of(dir: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."))
        .map(|entry| {
            (
                entry.metadata().and_then(|entry| entry.modified()).ok(),
                entry.path(),
            )
        })
        .collect();
    entries.sort();
    entries.into_iter().rev().map(|(_, path)| path).collect()
}

/// Whether nothing more can be written in `dir`. Programs that fail for it say so in many ways.
pub(crate) fn is_full(dir: &Path) -> bool {
    const BLOCK_BYTES: u64 = 4096;
    statvfs(dir).is_ok_and(|stat| stat.f_bavail * stat.f_frsize < BLOCK_BYTES)
}

fn make_dir(path: &Path, mode: u32) -> Result<(), CacheError> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(CacheError::because("make", path))
}

fn lock(dir: &Path, progress: &dyn Progress) -> Result<File, CacheError> {
    let path = dir.join(LOCK);
    let saying = "waiting for another jaula, which is filling the cache";
    lock_file(&path, progress, saying).map_err(CacheError::because("lock", &path))
}

fn clear_unfinished(dir: &Path) -> Result<(), CacheError> {
    let entries = fs::read_dir(dir).map_err(CacheError::because("read", dir))?;
    for entry in entries {
        let entry = entry.map_err(CacheError::because("read", dir))?;
        if entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(UNFINISHED.as_bytes())
        {
            let path = entry.path();
            remove(&path).map_err(CacheError::because("remove", &path))?;
        }
    }
    Ok(())
}

/// Removes a file, or a tree without following its links.
fn remove(path: &Path) -> io::Result<()> {
    if path.symlink_metadata()?.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use launch::NoProgress;
    use tempfile::TempDir;

    use super::*;

    fn cache() -> (TempDir, Cache) {
        let dir = TempDir::new().unwrap();
        let cache = Cache::new(dir.path().join("cache"), []);
        (dir, cache)
    }

    fn make(cache: &Cache, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<PathBuf, Failed> {
        cache.get_or_make(Shelf::Disks, "a", &NoProgress, |path| {
            make(path).map_err(|_| Failed)
        })
    }

    #[derive(Debug)]
    struct Failed;

    impl From<CacheError> for Failed {
        fn from(_: CacheError) -> Self {
            Self
        }
    }

    fn names(cache: &Cache) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(cache.dir().join("disks"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn an_entry_is_made_once_by_those_who_want_it_at_once() {
        let (_dir, cache) = cache();
        let made = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    make(&cache, |path| {
                        made.fetch_add(1, Ordering::Relaxed);
                        fs::write(path, "x")
                    })
                    .unwrap();
                });
            }
        });
        assert_eq!(made.into_inner(), 1);
        assert_eq!(names(&cache), [".lock", "a"]);
    }

    #[test]
    fn what_fails_to_be_made_leaves_nothing() {
        let (_dir, cache) = cache();
        make(&cache, |path| {
            fs::create_dir(path)?;
            fs::write(path.join("half"), "x")?;
            Err(io::ErrorKind::StorageFull.into())
        })
        .unwrap_err();
        assert_eq!(names(&cache), [".lock"]);
        assert_eq!(cache.find(Shelf::Disks, "a"), None);
    }

    #[test]
    fn what_a_killed_process_left_is_swept_but_not_what_is_being_made() {
        let (_dir, cache) = cache();
        make(&cache, |path| {
            fs::write(path, "x")?;
            cache.sweep().unwrap();
            assert!(path.exists());
            Ok(())
        })
        .unwrap();
        fs::write(cache.dir().join("disks/.making-b"), "x").unwrap();
        cache.sweep().unwrap();
        assert_eq!(names(&cache), [".lock", "a"]);
    }

    #[test]
    fn sweeping_a_cache_that_was_never_used_makes_nothing() {
        let (_dir, cache) = cache();
        cache.sweep().unwrap();
        assert!(!cache.dir().exists());
    }

    #[test]
    fn a_kernel_is_found_in_another_cache_and_other_things_are_not_looked_for_there() {
        let (dir, own) = cache();
        let cache = Cache::new(dir.path().join("mine"), [own.dir().to_owned()]);
        own.get_or_make(Shelf::Kernels, "k", &NoProgress, |path| {
            fs::write(path, "x").map_err(|_| Failed)
        })
        .unwrap();
        assert_eq!(cache.find(Shelf::Kernels, "k"), None);
        assert_eq!(
            cache.find_anywhere(Shelf::Kernels, "k"),
            Some(own.dir().join("kernels/k"))
        );
    }
}
