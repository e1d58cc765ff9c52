//! Small files that are there whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes the file at `path`, which nobody else writes at this moment, with these permission bits
/// less those of the umask. A crash leaves the old one or the new one, and perhaps a draft with
/// `.new` behind its name.
///
/// # Errors
///
/// When it can't be written or renamed.
pub fn write(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    let draft = path.with_added_extension("new");
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&draft)?;
    file.write_all(contents)?;
    fs::rename(draft, path)
}
