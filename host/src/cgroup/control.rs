//! Reading and writing a cgroup's control files.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};

use super::error::Error;

/// The text of a control file.
pub(super) fn read(dir: &Path, file: &str) -> Result<String, Error> {
    let path = dir.join(file);
    fs::read_to_string(&path).map_err(|source| Error::Read { path, source })
}

/// Writes `value` in one write(2), as control files want it. Never creates the file.
pub(super) fn write(dir: &Path, file: &str, value: &str) -> io::Result<()> {
    File::options()
        .write(true)
        .open(dir.join(file))?
        .write_all(value.as_bytes())
}

/// Whether this process may write to `path`, as its effective user.
pub(super) fn writable(path: &Path) -> io::Result<()> {
    Ok(faccessat(
        AT_FDCWD,
        path,
        AccessFlags::W_OK,
        AtFlags::AT_EACCESS,
    )?)
}

/// The number that a control file holds.
pub(super) fn number(dir: &Path, file: &'static str) -> Result<u64, Error> {
    read(dir, file)?
        .trim()
        .parse()
        .map_err(|_| Error::NoFigure {
            path: dir.join(file),
            key: "its number",
        })
}

/// A control file of lines `key value`.
pub(super) struct Keyed<'a> {
    dir: &'a Path,
    file: &'static str,
    text: String,
}

impl<'a> Keyed<'a> {
    /// Reads it.
    pub fn read(dir: &'a Path, file: &'static str) -> Result<Self, Error> {
        Ok(Self {
            dir,
            file,
            text: read(dir, file)?,
        })
    }

    /// The value of `key`, if it is there.
    pub fn find(&self, key: &str) -> Option<u64> {
        self.text
            .lines()
            .filter_map(|line| line.split_once(' '))
            .find(|(name, _)| *name == key)
            .and_then(|(_, value)| value.trim().parse().ok())
    }

    /// The value of `key`.
    ///
    /// # Errors
    ///
    /// When it is not there, or no number.
    pub fn get(&self, key: &'static str) -> Result<u64, Error> {
        self.find(key).ok_or_else(|| Error::NoFigure {
            path: self.dir.join(self.file),
            key,
        })
    }
}
