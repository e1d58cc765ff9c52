//! Where layers and images lie, one directory each, and who may touch which.
//!
//! One is made under another name and renamed when it is complete and on the disk, so whatever has
//! a digest for its name is complete. See [`host::locked`] for who holds which lock on it.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use host::locked::{Attempt, Locked};
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
    /// Shared.
    _lock: Locked,
}

impl Shelf {
    /// The one of this digest, if it is there.
    pub(super) fn find(&self, digest: BlobDigest) -> Result<Option<Held>, StoreError> {
        let dir = self.dir.join(digest.file_name());
        let lock = Locked::shared(&dir).map_err(io_error("lock", &dir))?;
        Ok(lock.map(|lock| Held {
            digest,
            dir,
            _lock: lock,
        }))
    }

    /// The one of this digest, which `make` makes in the empty directory that it is given if it is not there.
    pub(super) fn find_or_make(
        &self,
        digest: BlobDigest,
        progress: &dyn Progress,
        make: impl FnOnce(&Path) -> Result<(), StoreError>,
    ) -> Result<Held, StoreError> {
        let unfinished = self.dir.join(format!("{UNFINISHED}{}", digest.file_name()));
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
            let saying = "waiting for another jaula, which is unpacking the same layer";
            let lock = Locked::exclusive(&unfinished, progress, saying);
            // If it is gone, whoever made it has just finished.
            if let Some(lock) = lock.map_err(io_error("lock", &unfinished))? {
                break lock;
            }
        };
        let made = clear(&unfinished)
            .map_err(io_error("clear", &unfinished))
            .and_then(|()| make(&unfinished))
            .and_then(|()| {
                let dir = self.dir.join(digest.file_name());
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
        let dir = self.dir.join(digest.file_name());
        let _lock = match Locked::try_exclusive(&dir).map_err(io_error("lock", &dir))? {
            Attempt::Locked(lock) => lock,
            Attempt::Held => return Ok(false),
            Attempt::Gone => return Ok(true),
        };
        // What is removed by half must not be found.
        let gone = self
            .dir
            .join(format!("{UNFINISHED}{}-removed", digest.file_name()));
        remove_if_there(&gone)?;
        fs::rename(&dir, &gone).map_err(io_error("remove", &dir))?;
        remove_if_there(&gone)?;
        Ok(true)
    }

    /// Whether somebody holds it.
    pub(super) fn is_used(&self, digest: BlobDigest) -> Result<bool, StoreError> {
        let dir = self.dir.join(digest.file_name());
        let attempt = Locked::try_exclusive(&dir).map_err(io_error("lock", &dir))?;
        Ok(matches!(attempt, Attempt::Held))
    }

    /// All that there are.
    pub(super) fn all(&self) -> Result<Vec<BlobDigest>, StoreError> {
        let names = self.names()?;
        Ok(names
            .iter()
            .filter_map(|it| BlobDigest::from_file_name(it))
            .collect())
    }

    /// Removes what processes that were killed left unfinished.
    pub(super) fn sweep(&self) -> Result<(), StoreError> {
        for name in self.names()? {
            if !name.starts_with(UNFINISHED) {
                continue;
            }
            let path = self.dir.join(name);
            let attempt = Locked::try_exclusive(&path).map_err(io_error("lock", &path))?;
            if let Attempt::Locked(_lock) = attempt {
                remove_if_there(&path)?;
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
