//! Files that a user names, read up to a length: one that does not end is no reason to run out of
//! memory.

use std::fs::File;
use std::io::{self, Error, ErrorKind, Read};
use std::path::Path;

/// More than anybody writes by hand.
const MOST_TEXT_MIB: u64 = 1;

/// All of a small file that a user wrote.
pub fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path, MOST_TEXT_MIB)?)
        .map_err(|error| Error::new(ErrorKind::InvalidData, error))
}

/// All of a file of at most so many MiB.
pub fn read(path: &Path, most_mib: u64) -> io::Result<Vec<u8>> {
    let most_bytes = most_mib << 20;
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    // One that says how long it is need not be read for that.
    if file.metadata()?.len() > most_bytes
        || file.take(most_bytes + 1).read_to_end(&mut bytes)? as u64 > most_bytes
    {
        let message = format!("it has more than {most_mib} MiB");
        return Err(Error::new(ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_end_is_refused() {
        let error = read_text(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(error.to_string(), "it has more than 1 MiB");
    }
}
