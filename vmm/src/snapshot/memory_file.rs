//! A memory file that a machine runs on.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::{Lease, LeaseBreaks, MEMORY, SavedMemory, lease, regular_file};

/// Why a machine can't run on the file.
#[derive(Debug, thiserror::Error)]
pub enum MemoryFileError {
    /// There is none.
    #[error("the snapshot has no memory: {path} is missing", path = .0.display())]
    Missing(PathBuf),
    /// It can't be opened or read.
    #[error("{path} can't be read", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is a directory, a link or a device.
    #[error("{path} is not a regular file", path = .0.display())]
    NotRegular(PathBuf),
    /// Another user could change it under the machine.
    #[error("{path} can be changed by others than root and user {uid}", path = path.display())]
    ChangedByOthers {
        /// The file.
        path: PathBuf,
        /// This user.
        uid: u32,
    },
    /// A program has it open for writing.
    #[error("{path} is open for writing by another program", path = .0.display())]
    Busy(PathBuf),
    /// Its end is missing.
    #[error("{path} is too short: it has {found} bytes of {expected}", path = path.display())]
    Shorter {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// Size of the machine's memory.
        expected: u64,
    },
    /// Something is behind its end.
    #[error("{path} is too long: it has {found} bytes for {expected}", path = path.display())]
    Longer {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// Size of the machine's memory.
        expected: u64,
    },
    /// Its data is not what was saved.
    #[error("{path} is damaged, or is of another snapshot", path = .0.display())]
    Damaged(PathBuf),
}

impl MemoryFileError {
    /// What the user can do, if anything is known.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Missing(_)
            | Self::NotRegular(_)
            | Self::Shorter { .. }
            | Self::Longer { .. }
            | Self::Damaged(_) => {
                Some("copy the snapshot again from where it is whole, or make it again")
            }
            Self::ChangedByOthers { .. } => {
                Some("make it yours and writable by you alone, or use a copy of your own")
            }
            Self::Busy(_) => Some("wait until that program is done with it"),
            Self::Read { .. } => None,
        }
    }
}

/// A memory file, open for reading, that only root and the user could change, and then not
/// unnoticed where there are leases. It must be kept for as long as the machine lives.
#[derive(Debug)]
pub struct MemoryFile {
    file: File,
    path: PathBuf,
    metadata: Metadata,
    lease: Lease,
}

impl MemoryFile {
    /// Opens the one of the snapshot in `dir`, which must be as large as `saved`. Without
    /// `breaks` it is not protected, and only to be looked at.
    ///
    /// # Errors
    ///
    /// When it is missing, of another size, open for writing, or others could change it.
    pub fn open(
        dir: &Path,
        saved: &SavedMemory,
        breaks: Option<&LeaseBreaks>,
    ) -> Result<Self, MemoryFileError> {
        let path = dir.join(MEMORY);
        let read = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => MemoryFileError::Missing(path.clone()),
            _ => MemoryFileError::Read {
                path: path.clone(),
                source,
            },
        };
        let Some(file) = regular_file::open(&path).map_err(read)? else {
            return Err(MemoryFileError::NotRegular(path));
        };
        let lease = match breaks {
            Some(breaks) => lease::take(&file, breaks),
            None => lease::probe(&file),
        };
        // After the lease: what is seen now stays.
        let metadata = file.metadata().map_err(read)?;
        let uid = geteuid().as_raw();
        let by_others = metadata.mode() & 0o022 != 0;
        if by_others || (metadata.uid() != 0 && metadata.uid() != uid) {
            return Err(MemoryFileError::ChangedByOthers { path, uid });
        }
        match lease {
            Lease::Held | Lease::NotTaken => {}
            Lease::Busy => return Err(MemoryFileError::Busy(path)),
            Lease::Unavailable(errno) => {
                tracing::debug!("no lease on {}: {errno}", path.display());
            }
        }
        let (found, expected) = (metadata.len(), saved.bytes());
        if found < expected {
            return Err(MemoryFileError::Shorter {
                path,
                found,
                expected,
            });
        }
        if found > expected {
            return Err(MemoryFileError::Longer {
                path,
                found,
                expected,
            });
        }
        Ok(Self {
            file,
            path,
            metadata,
            lease,
        })
    }

    /// Has the process, as whom it runs now, told of changes: who may signal whom is asked with
    /// the user who has called this last.
    ///
    /// # Errors
    ///
    /// Never, while the file is open.
    pub(crate) fn notify_me(&self) -> io::Result<()> {
        lease::notify_me(&self.file)
    }

    /// The file, for reading.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where it was found.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a change would be noticed.
    pub fn lease(&self) -> Lease {
        self.lease
    }

    /// What it was when the lease was taken.
    pub(super) fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::os::fd::{AsFd, AsRawFd};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::thread;

    use nix::poll::{PollFd, PollFlags, poll};
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;
    use tempfile::TempDir;

    use super::*;
    use crate::snapshot::{Extents, sample};

    const BYTES: u64 = 1 << 20;

    /// A directory with a memory file of `bytes`, and its path.
    fn snapshot(bytes: u64) -> (TempDir, PathBuf) {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join(MEMORY);
        let file = File::create(&path).unwrap();
        file.set_len(bytes).unwrap();
        (dir, path)
    }

    fn open(dir: &TempDir) -> Result<MemoryFile, MemoryFileError> {
        open_watched(dir, &sample::breaks())
    }

    fn open_watched(dir: &TempDir, breaks: &LeaseBreaks) -> Result<MemoryFile, MemoryFileError> {
        MemoryFile::open(dir.path(), &saved(), Some(breaks))
    }

    fn open_to_look(dir: &TempDir) -> Result<MemoryFile, MemoryFileError> {
        MemoryFile::open(dir.path(), &saved(), None)
    }

    fn saved() -> SavedMemory {
        let digest = launch::Digest::from_bytes(&[0; 32]);
        SavedMemory::new(BYTES, Extents::default(), digest).unwrap()
    }

    #[test]
    fn a_missing_file_and_one_of_another_size_are_told_apart() {
        let (dir, path) = snapshot(BYTES - 1);
        let error = open(&dir).unwrap_err();
        assert!(matches!(error, MemoryFileError::Shorter { .. }), "{error}");
        fs::remove_file(&path).unwrap();
        let error = open(&dir).unwrap_err();
        assert!(matches!(error, MemoryFileError::Missing(_)), "{error}");
        let (dir, _) = snapshot(BYTES + 1);
        let error = open(&dir).unwrap_err();
        assert!(matches!(error, MemoryFileError::Longer { .. }), "{error}");
    }

    #[test]
    fn only_a_regular_file_is_taken() {
        let (dir, path) = snapshot(BYTES);
        let elsewhere = dir.path().join("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        for make in [
            &|path: &Path| symlink(&elsewhere, path).unwrap() as (),
            &|path: &Path| mkfifo(path, Mode::S_IRWXU).unwrap(),
            &|path: &Path| fs::create_dir(path).unwrap(),
        ] as [&dyn Fn(&Path); 3]
        {
            make(&path);
            let error = open(&dir).unwrap_err();
            assert!(matches!(error, MemoryFileError::NotRegular(_)), "{error}");
            fs::remove_file(&path)
                .or_else(|_| fs::remove_dir(&path))
                .unwrap();
        }
    }

    #[test]
    fn a_file_that_others_may_write_is_refused() {
        let (dir, path) = snapshot(BYTES);
        for mode in [0o620, 0o602] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = open(&dir).unwrap_err();
            assert!(
                matches!(error, MemoryFileError::ChangedByOthers { .. }),
                "{error}"
            );
        }
    }

    #[test]
    fn a_file_that_is_open_for_writing_is_refused() {
        let (dir, path) = snapshot(BYTES);
        let writer = OpenOptions::new().write(true).open(&path).unwrap();
        for opened in [open(&dir), open_to_look(&dir)] {
            match opened {
                Err(MemoryFileError::Busy(_)) => {}
                Ok(memory) => eprintln!("SKIPPED: no leases here: {:?}", memory.lease()),
                Err(error) => panic!("{error}"),
            }
        }
        drop(writer);
        open(&dir).unwrap();
    }

    #[test]
    fn who_only_looked_keeps_nobody_from_writing() {
        let (dir, path) = snapshot(BYTES);
        let _memory = open_to_look(&dir).unwrap();
        OpenOptions::new().write(true).open(&path).unwrap();
    }

    #[test]
    fn who_wants_to_write_waits_until_the_machine_is_gone_and_is_noticed() {
        let (dir, path) = snapshot(BYTES);
        let breaks = sample::breaks();
        let memory = open_watched(&dir, &breaks).unwrap();
        if memory.lease() != Lease::Held {
            eprintln!("SKIPPED: no leases here: {:?}", memory.lease());
            return;
        }
        direct_to_this_thread(memory.file());
        let readable = |timeout: u16| {
            let mut sources = [PollFd::new(breaks.as_fd(), PollFlags::POLLIN)];
            poll(&mut sources, timeout).unwrap() == 1
        };
        assert!(!readable(0));
        let writer = thread::spawn(move || OpenOptions::new().write(true).open(path));
        assert!(readable(10_000));
        assert!(!writer.is_finished());
        drop(memory);
        writer.join().unwrap().unwrap();
    }

    /// The signal is for the process, whose other threads, of other tests, don't block it.
    fn direct_to_this_thread(file: &File) {
        // `struct f_owner_ex` of fcntl(2): F_OWNER_TID and the thread.
        let owner = [0, nix::unistd::gettid().as_raw()];
        // SAFETY: F_SETOWN_EX reads the two integers of `owner`.
        let result = unsafe { libc::fcntl(file.as_raw_fd(), F_SETOWN_EX, owner.as_ptr()) };
        assert_eq!(result, 0);
    }

    /// `include/uapi/asm-generic/fcntl.h`.
    const F_SETOWN_EX: libc::c_int = 15;
}
