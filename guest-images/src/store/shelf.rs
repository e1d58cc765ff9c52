//! Where layers and images lie, one directory each, and who may touch which.
//!
//! One is made under another name and renamed when it is complete and on the disk, so whatever has
//! a digest for its name is complete. Who makes one holds an exclusive lock on its directory;
//! what is unfinished and not locked was left by a process that was killed. Who uses one holds a
//! shared lock, and who removes one needs an exclusive one. The kernel frees locks when a process
//! ends, however it ends.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use launch::Progress;

use super::blob_digest::BlobDigest;
use super::{StoreError, io_error};

/// How the name of an unfinished or half removed one begins.
const UNFINISHED: &str = ".making-";

/// A directory of things that are named by digests.
pub(super) struct Shelf {
    pub(super) dir: PathBuf,
}

/// One of them, which can't be removed while this is held.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) digest: BlobDigest,
    pub(super) dir: PathBuf,
    /// Locked, shared, for as long as it is open.
    _lock: File,
}

impl Shelf {
    /// The one of this digest, if it is there.
    pub(super) fn find(&self, digest: BlobDigest) -> Result<Option<Held>, StoreError> {
        let dir = self.dir.join(digest.hex());
        loop {
            let lock = match File::open(&dir) {
                Ok(lock) => lock,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(io_error("open", &dir)(error)),
            };
            lock.lock_shared().map_err(io_error("lock", &dir))?;
            // It may have been removed, and even made anew, before it was locked.
            if is_still(&lock, &dir)? {
                return Ok(Some(Held {
                    digest,
                    dir,
                    _lock: lock,
                }));
            }
        }
    }

    /// The one of this digest, which `make` makes in the empty directory that it is given if it is not there.
    pub(super) fn find_or_make(
        &self,
        digest: BlobDigest,
        progress: &dyn Progress,
        make: impl FnOnce(&Path) -> Result<(), StoreError>,
    ) -> Result<Held, StoreError> {
        let unfinished = self.dir.join(format!("{UNFINISHED}{}", digest.hex()));
        let lock = loop {
            if let Some(found) = self.find(digest)? {
                return Ok(found);
            }
            match DirBuilder::new().mode(0o700).create(&unfinished) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(io_error("make", &unfinished)(error));
                }
                _ => {}
            }
            let lock = match File::open(&unfinished) {
                // Whoever made it has just finished.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened.map_err(io_error("open", &unfinished))?,
            };
            wait_for(&lock, &unfinished, progress)?;
            if is_still(&lock, &unfinished)? {
                break lock;
            }
        };
        let made = clear(&unfinished)
            .map_err(io_error("clear", &unfinished))
            .and_then(|()| make(&unfinished))
            .and_then(|()| {
                let dir = self.dir.join(digest.hex());
                fs::rename(&unfinished, &dir).map_err(io_error("make", &dir))?;
                let synced = File::open(&self.dir).and_then(|dir| dir.sync_all());
                synced.map_err(io_error("write", &self.dir))
            });
        if let Err(error) = made {
            // Why it could not be made is the one to tell. What can't be removed now is swept.
            let _ = remove_tree(&unfinished);
            return Err(error);
        }
        drop(lock);
        self.find(digest)?.ok_or(StoreError::Vanished(digest))
    }

    /// Removes one unless somebody holds it; whether it is gone. To be called by one process at a
    /// time.
    pub(super) fn remove(&self, digest: BlobDigest) -> Result<bool, StoreError> {
        let dir = self.dir.join(digest.hex());
        let lock = match File::open(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            opened => opened.map_err(io_error("open", &dir))?,
        };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(io_error("lock", &dir)(error)),
        }
        // What is removed by half must not be found.
        let gone = self
            .dir
            .join(format!("{UNFINISHED}{}-removed", digest.hex()));
        remove_if_there(&gone)?;
        fs::rename(&dir, &gone).map_err(io_error("remove", &dir))?;
        remove_if_there(&gone)?;
        Ok(true)
    }

    /// Whether somebody holds it.
    pub(super) fn is_used(&self, digest: BlobDigest) -> Result<bool, StoreError> {
        let dir = self.dir.join(digest.hex());
        let lock = match File::open(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            opened => opened.map_err(io_error("open", &dir))?,
        };
        match lock.try_lock() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(io_error("lock", &dir)(error)),
        }
    }

    /// All that there are.
    pub(super) fn all(&self) -> Result<Vec<BlobDigest>, StoreError> {
        let names = self.names()?;
        Ok(names
            .iter()
            .filter_map(|it| BlobDigest::from_hex(it))
            .collect())
    }

    /// Removes what processes that were killed left unfinished.
    pub(super) fn sweep(&self) -> Result<(), StoreError> {
        for name in self.names()? {
            if !name.starts_with(UNFINISHED) {
                continue;
            }
            let path = self.dir.join(name);
            let lock = match File::open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened.map_err(io_error("open", &path))?,
            };
            match lock.try_lock() {
                // It may have been finished before it was locked; another's may have its name.
                Ok(()) if is_still(&lock, &path)? => remove_if_there(&path)?,
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(io_error("lock", &path)(error)),
            }
        }
        Ok(())
    }

    fn names(&self) -> Result<Vec<String>, StoreError> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(io_error("read", &self.dir))?,
        };
        entries
            .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
            .collect::<Result<_, _>>()
            .map_err(io_error("read", &self.dir))
    }
}

/// Whether `path` still leads to what was opened.
fn is_still(file: &File, path: &Path) -> Result<bool, StoreError> {
    let opened = file.metadata().map_err(io_error("open", path))?;
    match path.symlink_metadata() {
        Ok(now) => Ok((now.dev(), now.ino()) == (opened.dev(), opened.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io_error("open", path)(error)),
    }
}

fn wait_for(lock: &File, path: &Path, progress: &dyn Progress) -> Result<(), StoreError> {
    match lock.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            progress.begin("waiting for another jaula, which is unpacking the same layer");
            let locked = lock.lock();
            progress.end();
            locked.map_err(io_error("lock", path))
        }
        Err(TryLockError::Error(error)) => Err(io_error("lock", path)(error)),
    }
}

/// Removes all that is in a directory, whatever permissions it has.
fn clear(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn remove_tree(path: &Path) -> io::Result<()> {
    clear(path)?;
    fs::remove_dir(path)
}

fn remove_if_there(path: &Path) -> Result<(), StoreError> {
    match remove_tree(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(io_error("remove", path)),
    }
}
