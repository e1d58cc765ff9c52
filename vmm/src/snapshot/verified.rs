//! Remembers which memory file was found to have the right digest.
//!
//! To read all of it costs tens of milliseconds; that it is the same file, with the same last
//! change, is known for nothing. What was not changed through its file system (a bad disk) is not
//! noticed so: to have it noticed, remove [`VERIFIED`].

use std::fs::{self, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{MemoryFile, MemoryFileError, SavedMemory, VERIFIED, memory_digest, regular_file};

/// More than a line of ours takes; what is longer is not ours.
const MAX_BYTES: u64 = 256;

/// Checks that `memory`, of the snapshot in `dir`, has the data of `saved`: by what is remembered,
/// or else by its digest, which is remembered then.
///
/// # Errors
///
/// When it has other data, or can't be read. That nothing can be remembered is no error.
pub fn verify(dir: &Path, memory: &MemoryFile, saved: &SavedMemory) -> Result<(), MemoryFileError> {
    let line = line(memory.metadata(), saved);
    let path = dir.join(VERIFIED);
    if read(&path).is_ok_and(|remembered| remembered == line) {
        return Ok(());
    }
    let digest = memory_digest::of_file(memory.file(), saved.extents()).map_err(|source| {
        MemoryFileError::Read {
            path: memory.path().to_owned(),
            source,
        }
    })?;
    if digest != *saved.digest() {
        return Err(MemoryFileError::Damaged(memory.path().to_owned()));
    }
    if let Err(error) = write(dir, &line) {
        tracing::debug!("{}: {error}", path.display());
    }
    Ok(())
}

/// Remembers, in the new snapshot in `dir`, the file that was just written.
pub(super) fn remember(dir: &Path, memory: &Metadata, saved: &SavedMemory) -> io::Result<()> {
    write(dir, &line(memory, saved))
}

/// Identity and last changes of the file. Its owner can set the time of the last change of the
/// data (utimensat(2)), but not that of the last change of the inode.
fn line(memory: &Metadata, saved: &SavedMemory) -> String {
    format!(
        "{}:{} {} {}.{:09} {}.{:09} {}\n",
        memory.dev(),
        memory.ino(),
        memory.len(),
        memory.mtime(),
        memory.mtime_nsec(),
        memory.ctime(),
        memory.ctime_nsec(),
        saved.digest()
    )
}

fn read(path: &Path) -> io::Result<String> {
    let mut line = String::new();
    regular_file::open(path)?
        .ok_or(io::ErrorKind::InvalidInput)?
        .take(MAX_BYTES)
        .read_to_string(&mut line)?;
    Ok(line)
}

/// At once: another that starts from the snapshot at this time may be reading.
fn write(dir: &Path, line: &str) -> io::Result<()> {
    let file = tempfile::NamedTempFile::new_in(dir)?;
    fs::write(file.path(), line)?;
    file.persist(dir.join(VERIFIED))?;
    Ok(())
}
