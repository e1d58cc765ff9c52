//! The run directory: what instances keep while they live, and what tells the next run what a
//! crashed one left.
//!
//! One directory an instance, `RUN/ID`, under a lock (flock(2) on the directory itself) that its
//! owner holds as long as it lives; the kernel lets go of it however the owner ends. So:
//!
//! - A directory that is locked belongs to a running instance.
//! - One that is not is a leftover, and whoever holds the run directory's own lock may clear it;
//!   unless it is that of an instance that has ended and is kept ([`crate::instances`]).
//!
//! The run directory's own lock, on the file `RUN/.lock`, is held while directories are made
//! and while leftovers are cleared, for neither to see the other half-way. An instance that ends
//! in order needs it not: its own lock keeps all others away.
//!
//! Directories are locked rather than files in them, so that they are never without their lock,
//! however far making or removing one has come; and systemd-tmpfiles(8) leaves those alone.

mod address;
mod error;
mod foreign;
mod instance;
mod record;
mod remove;

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use launch::{InstanceId, NoProgress};
use nix::fcntl::OFlag;
use nix::unistd::geteuid;

pub use error::Error;
use instance::Adopted;
pub use instance::InstanceDir;

use crate::cgroup::CgroupView;
use crate::instances::ENDED;
use crate::locked::lock_file;
use crate::paths;

const LOCK: &str = ".lock";

/// What [`RunDir::sweep`] did.
#[derive(Debug, Default)]
pub struct Swept {
    /// Leftovers of these instances were cleared.
    pub cleared: Vec<InstanceId>,
    /// These could not be, and will be tried again.
    pub failed: Vec<(InstanceId, Error)>,
}

/// The directory in which instances have theirs.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Opens [`paths::run_dir`], and makes it if it is missing.
    ///
    /// # Errors
    ///
    /// When it can't be made or opened; when others own it or may write to it; when it holds
    /// things that are not ours.
    pub fn open() -> Result<Self, Error> {
        Self::at(paths::run_dir()?)
    }

    /// Opens the one at `path`, as [`RunDir::open`] does.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn at(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|source| Error::Make {
            path: path.clone(),
            source,
        })?;
        let run = Self { path };
        run.check_owner()?;
        run.check_contents()?;
        Ok(run)
    }

    /// In a directory such as `/tmp`, somebody else could have made it first, and make us
    /// remove and kill what they like.
    fn check_owner(&self) -> Result<(), Error> {
        let opened = open_dir(&self.path).and_then(|dir| dir.metadata());
        let metadata = opened.map_err(|source| Error::Open {
            path: self.path.clone(),
            source,
        })?;
        let ours = metadata.uid() == geteuid().as_raw();
        if ours && metadata.mode() & 0o022 == 0 {
            Ok(())
        } else {
            Err(Error::NotOurs(self.path.clone()))
        }
    }

    /// All that is in it may be cleared away, so a directory that is in other use, named by
    /// mistake, is refused: ours has a lock file, or is new and empty.
    fn check_contents(&self) -> Result<(), Error> {
        let error = |source| Error::Open {
            path: self.path.clone(),
            source,
        };
        let lock = self.path.join(LOCK);
        let mut entries = fs::read_dir(&self.path).map_err(error)?;
        // Looked at first: another run may be making it at this moment.
        let empty = entries.next().is_none();
        if !empty && !lock.try_exists().map_err(error)? {
            return Err(Error::InUse(self.path.clone()));
        }
        Ok(())
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the lock on the run directory; dropping the file lets go of it.
    fn lock(&self) -> Result<File, Error> {
        let path = self.path.join(LOCK);
        lock_file(&path, &NoProgress, "").map_err(|source| Error::Lock { path, source })
    }

    /// Makes and locks the directory of an instance called `name`, or by a random name.
    ///
    /// # Errors
    ///
    /// When an instance of that name runs, when its leftovers can't be cleared, and when the
    /// directory can't be made.
    pub fn create(&self, name: Option<&InstanceId>) -> Result<InstanceDir, Error> {
        let _lock = self.lock()?;
        match name {
            Some(id) => {
                InstanceDir::create(self, id.clone())?.ok_or_else(|| Error::Running(id.clone()))
            }
            None => loop {
                if let Some(instance) = InstanceDir::create(self, random_id()?)? {
                    break Ok(instance);
                }
            },
        }
    }

    /// Removes what is kept of an instance that has ended; `false` if there is none.
    ///
    /// # Errors
    ///
    /// When it runs, or can't be removed.
    pub fn remove(&self, id: &InstanceId) -> Result<bool, Error> {
        let _lock = self.lock()?;
        match InstanceDir::adopt(self, id)? {
            Adopted::Running => Err(Error::Running(id.clone())),
            Adopted::Gone => Ok(false),
            Adopted::Leftover(leftover) => leftover.remove().map(|()| false),
            Adopted::Ended(ended) => {
                ended.forget()?;
                ended.remove().map(|()| true)
            }
        }
    }

    /// The cgroup of an instance, running or not, whoever its owner is; `None` if it has none.
    ///
    /// # Errors
    ///
    /// When what the instance has on record can't be read, or is not there.
    pub fn cgroup_of(&self, id: &InstanceId) -> Result<Option<CgroupView>, Error> {
        let dirs = record::read(&self.path.join(id.as_str()), id)?;
        if dirs.is_empty() {
            return Ok(None);
        }
        Ok(Some(CgroupView::open(dirs)?))
    }

    /// Clears what crashed runs left: kills what still runs in their cgroups, and removes those
    /// and their directories.
    ///
    /// # Errors
    ///
    /// When the run directory can't be locked or read. What else fails is in the answer.
    pub fn sweep(&self) -> Result<Swept, Error> {
        let _lock = self.lock()?;
        let error = |source| Error::Open {
            path: self.path.clone(),
            source,
        };
        let mut swept = Swept::default();
        for entry in fs::read_dir(&self.path).map_err(error)? {
            let entry = entry.map_err(error)?;
            let name = entry.file_name();
            let Some(id): Option<InstanceId> = name.to_str().and_then(|name| name.parse().ok())
            else {
                continue;
            };
            // All of it but what is kept was cleared: the most frequent case on a host with many.
            if self.path.join(id.as_str()).join(ENDED).exists() {
                continue;
            }
            match InstanceDir::adopt(self, &id) {
                Ok(Adopted::Running | Adopted::Gone) => {}
                Ok(Adopted::Leftover(leftover)) => match leftover.remove() {
                    Ok(()) => swept.cleared.push(id),
                    Err(error) => swept.failed.push((id, error)),
                },
                Ok(Adopted::Ended(ended)) => {
                    if let Err(error) = ended.settle() {
                        swept.failed.push((id, error));
                    }
                }
                Err(error) => swept.failed.push((id, error)),
            }
        }
        Ok(swept)
    }
}

/// 12 hexadecimal digits, as long as the short form of docker's.
///
/// # Errors
///
/// When there is no random number to make them of.
pub fn random_id() -> Result<InstanceId, Error> {
    let mut bytes = [0u8; 6];
    let name = File::open("/dev/urandom")
        .and_then(|mut urandom| urandom.read_exact(&mut bytes))
        .map(|()| {
            bytes
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        });
    Ok(name.map_err(Error::Random)?.parse()?)
}

/// Opens a directory, and nothing else: not what a symbolic link leads to, nor a FIFO that would
/// never open.
fn open_dir(path: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .custom_flags((OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).bits())
        .open(path)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::InstanceDir;

    /// Does with the directory what the kernel does when its owner is killed: nothing.
    pub fn abandon(dir: InstanceDir) {
        dir.abandon();
    }
}
