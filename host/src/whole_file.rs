//! Small files that are there whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes the file `name` in `dir`, of which nobody else writes one at this moment. A crash leaves
/// the old one or the new one, and perhaps `name.new`.
///
/// # Errors
///
/// When it can't be written or renamed.
pub fn write(dir: &Path, name: &str, contents: &[u8]) -> io::Result<()> {
    let draft = dir.join(format!("{name}.new"));
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(contents)?;
    fs::rename(draft, dir.join(name))
}
