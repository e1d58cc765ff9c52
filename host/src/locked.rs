//! Directories and files under a lock (flock(2)), which the kernel takes away however its holder
//! ends.
//!
//! What must never be found by half is made under another name, with its maker's lock on it, and
//! renamed when it is complete: if it still has that other name and nobody has the lock, its maker
//! was killed. What is complete is used under a shared lock, and removed under an exclusive one.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use launch::Progress;
use nix::fcntl::OFlag;

/// What had its name when it was locked. Dropping it lets go of the lock.
#[derive(Debug)]
pub struct Locked {
    path: PathBuf,
    _lock: File,
}

/// What came of an attempt to lock something at once.
#[derive(Debug)]
pub enum Attempt {
    /// Nobody else holds a lock.
    Locked(Locked),
    /// Somebody does.
    Held,
    /// There is nothing of that name, or not any more.
    Gone,
}

impl Locked {
    /// Locks it against all others, if nobody holds a lock on it.
    ///
    /// # Errors
    ///
    /// When it can't be opened or locked.
    pub fn try_exclusive(path: &Path) -> io::Result<Attempt> {
        let Some(lock) = open(path)? else {
            return Ok(Attempt::Gone);
        };
        match lock.try_lock() {
            Ok(()) => Ok(Self::if_still_there(lock, path)?.map_or(Attempt::Gone, Attempt::Locked)),
            Err(TryLockError::WouldBlock) => Ok(Attempt::Held),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Locks it against all others, however long it takes, which `saying` is then said of. `None`
    /// if there is nothing of that name, or not any more.
    ///
    /// # Errors
    ///
    /// As of [`Locked::try_exclusive`].
    pub fn exclusive(
        path: &Path,
        progress: &dyn Progress,
        saying: &str,
    ) -> io::Result<Option<Self>> {
        let Some(lock) = open(path)? else {
            return Ok(None);
        };
        wait_for(&lock, progress, saying)?;
        Self::if_still_there(lock, path)
    }

    /// Locks it against those who lock it against all others. `None` if there is nothing of that
    /// name, or not any more.
    ///
    /// # Errors
    ///
    /// As of [`Locked::try_exclusive`].
    pub fn shared(path: &Path) -> io::Result<Option<Self>> {
        let Some(lock) = open(path)? else {
            return Ok(None);
        };
        lock.lock_shared()?;
        Self::if_still_there(lock, path)
    }

    /// Where it was when it was locked.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// It may have been removed or renamed, and even made anew, before it was locked.
    fn if_still_there(lock: File, path: &Path) -> io::Result<Option<Self>> {
        let locked = lock.metadata()?;
        let is_there = match path.symlink_metadata() {
            Ok(now) => (now.dev(), now.ino()) == (locked.dev(), locked.ino()),
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        Ok(is_there.then(|| Self {
            path: path.to_owned(),
            _lock: lock,
        }))
    }
}

/// Makes a file to be locked, if it is not there, and locks it against all others, however long it
/// takes, which `saying` is then said of. Nobody ever removes it. Closing it lets go of the lock.
///
/// # Errors
///
/// When it can't be made, opened or locked.
pub fn lock_file(path: &Path, progress: &dyn Progress, saying: &str) -> io::Result<File> {
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)?;
    wait_for(&file, progress, saying)?;
    Ok(file)
}

fn open(path: &Path) -> io::Result<Option<File>> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    match File::options()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)
    {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn wait_for(lock: &File, progress: &dyn Progress, saying: &str) -> io::Result<()> {
    match lock.try_lock() {
        Ok(()) => return Ok(()),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(error),
    }
    progress.begin(saying);
    let locked = loop {
        match lock.lock() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            locked => break locked,
        }
    };
    progress.end();
    locked
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread;

    use launch::NoProgress;

    use super::*;

    fn attempt(path: &Path) -> &'static str {
        match Locked::try_exclusive(path).unwrap() {
            Attempt::Locked(_) => "locked",
            Attempt::Held => "held",
            Attempt::Gone => "gone",
        }
    }

    #[test]
    fn one_holds_it_alone_or_several_share_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("it");
        assert_eq!(attempt(&path), "gone");
        assert!(Locked::shared(&path).unwrap().is_none());
        fs::create_dir(&path).unwrap();
        let shared = [(); 2].map(|()| Locked::shared(&path).unwrap().unwrap());
        assert_eq!(attempt(&path), "held");
        drop(shared);
        let alone = Locked::exclusive(&path, &NoProgress, "").unwrap().unwrap();
        assert_eq!((alone.path(), attempt(&path)), (path.as_path(), "held"));
        drop(alone);
        assert_eq!(attempt(&path), "locked");
    }

    #[test]
    fn what_another_has_made_meanwhile_is_not_what_was_locked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("it");
        fs::create_dir(&path).unwrap();
        let opened = open(&path).unwrap().unwrap();
        fs::remove_dir(&path).unwrap();
        let gone = Locked::if_still_there(opened.try_clone().unwrap(), &path);
        assert!(gone.unwrap().is_none());
        // The old one is open, so the new one has another number.
        fs::create_dir(&path).unwrap();
        assert!(Locked::if_still_there(opened, &path).unwrap().is_none());
    }

    #[test]
    fn whoever_waits_gets_it_when_it_is_let_go_of() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = lock_file(&path, &NoProgress, "").unwrap();
        thread::scope(|scope| {
            let waits = scope.spawn(|| lock_file(&path, &NoProgress, "").is_ok());
            drop(held);
            assert!(waits.join().unwrap());
        });
    }

    #[test]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("link");
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(Locked::shared(&path).is_err());
        assert!(lock_file(&path, &NoProgress, "").is_err());
    }
}
