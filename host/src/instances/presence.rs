use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

use super::record::Record;
use super::status::{MAX_BYTES, Status};
use super::{ENDED, KEEP, STATUS, lock};

/// That an instance can be found, as long as this is not dropped and the process lives.
#[derive(Debug)]
pub struct Presence {
    dir: PathBuf,
    /// Locked.
    status: File,
    is_kept: bool,
}

impl Presence {
    /// Makes the instance in `dir` known to others. If the record says so, what is written here
    /// outlives it.
    ///
    /// # Errors
    ///
    /// When something can't be written.
    pub fn announce(dir: &Path, record: &Record) -> io::Result<Self> {
        let status = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(dir.join(STATUS))?;
        lock(&status)?;
        put_aside(&status)?;
        let is_kept = !record.asked.auto_remove;
        if is_kept {
            File::create_new(dir.join(KEEP))?;
        }
        // Last: whoever finds it finds the rest.
        record.write(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            status,
            is_kept,
        })
    }

    /// Tells how it ended. To be called when all else that the instance owned is removed, since
    /// those who wait for it go on.
    ///
    /// # Errors
    ///
    /// When that can't be written: then nobody is told, and nothing is kept.
    pub fn end(&mut self, status: &Status) -> io::Result<()> {
        self.status.write_all(&status.to_line()?)?;
        if self.is_kept {
            fs::rename(self.dir.join(KEEP), self.dir.join(ENDED))?;
        }
        Ok(())
    }
}

/// Takes the room for what will be written, where the file system can.
fn put_aside(status: &File) -> io::Result<()> {
    let keep_size = FallocateFlags::FALLOC_FL_KEEP_SIZE;
    match fallocate(status, keep_size, 0, MAX_BYTES.cast_signed()) {
        Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(()),
        result => Ok(result?),
    }
}
