//! The note, in an instance's directory, of the address that it has rules of the packet filter
//! for. It is written before they are made, so that there is no moment at which they would be
//! forgotten.

use std::fs;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::path::Path;

use super::error::Error;
use crate::whole_file;

const FILE: &str = "address";

/// Writes `address` down.
pub(super) fn write(dir: &Path, address: Ipv4Addr) -> Result<(), Error> {
    let text = address.to_string();
    let path = dir.join(FILE);
    whole_file::write(&path, text.as_bytes(), 0o600)
        .map_err(|source| Error::Record { path, source })
}

/// What was written down; nothing if nothing was.
///
/// # Errors
///
/// When it can't be read, or is no address.
pub(super) fn read(dir: &Path) -> Result<Option<Ipv4Addr>, Error> {
    let path = dir.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => text.parse().map(Some).map_err(|_| Error::Damaged(path)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Record { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), None);
        write(dir.path(), Ipv4Addr::new(10, 1, 2, 3)).unwrap();
        let address = read(dir.path()).unwrap();
        assert_eq!(address, Some(Ipv4Addr::new(10, 1, 2, 3)));
    }

    #[test]
    fn nothing_but_an_address_is_believed() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "jaula", "10.1.2", "10.1.2.3\n", "::1"] {
            fs::write(dir.path().join(FILE), text).unwrap();
            assert!(matches!(read(dir.path()), Err(Error::Damaged(_))), "{text}");
        }
    }
}
