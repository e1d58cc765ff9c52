//! The note, in an instance's directory, that another program runs it, in cgroups that it makes
//! where it likes. It is written before that program starts, so that there is no moment at which
//! they would be forgotten.

use std::fs::{self, File};
use std::path::Path;

use super::error::Error;

const FILE: &str = "foreign";

/// Writes it down.
pub(super) fn write(dir: &Path) -> Result<(), Error> {
    let path = dir.join(FILE);
    match File::create(&path) {
        Ok(_) => Ok(()),
        Err(source) => Err(Error::Record { path, source }),
    }
}

/// Whether it was.
pub(super) fn is_written(dir: &Path) -> Result<bool, Error> {
    let path = dir.join(FILE);
    fs::exists(&path).map_err(|source| Error::Record { path, source })
}
