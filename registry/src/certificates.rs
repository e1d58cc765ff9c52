//! Certificates of authorities that are trusted for one registry, where docker and podman look
//! for them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// `/etc/docker/certs.d/HOST[:PORT]/*.crt` and the same below `/etc/containers`
/// (containers-certs.d(5)).
const DIRECTORIES: [&str; 2] = ["/etc/docker/certs.d", "/etc/containers/certs.d"];

/// Larger than any list of authorities.
const MAX_BYTES: u64 = 1 << 20;

/// A certificate that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("can't use the certificate {}", path.display())]
pub struct CertificateError {
    path: PathBuf,
    source: io::Error,
}

/// Those for `registry`, each as it is in its file.
pub(crate) fn of(registry: &str) -> Result<Vec<Vec<u8>>, CertificateError> {
    let mut certificates = Vec::new();
    for directory in DIRECTORIES {
        read_all(&Path::new(directory).join(registry), &mut certificates)?;
    }
    Ok(certificates)
}

fn read_all(directory: &Path, into: &mut Vec<Vec<u8>>) -> Result<(), CertificateError> {
    // Most registries have none.
    let Ok(entries) = fs::read_dir(directory) else {
        return Ok(());
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|extension| extension == "crt") {
            let certificate = read(&path).map_err(|source| CertificateError {
                path: path.clone(),
                source,
            })?;
            into.push(certificate);
        }
    }
    Ok(())
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    fs::read(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_end_in_crt_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut found = Vec::new();
        read_all(&dir.path().join("missing"), &mut found).unwrap();
        for (name, text) in [("ca.crt", "a"), ("client.key", "b"), ("ca.crt~", "c")] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        read_all(dir.path(), &mut found).unwrap();
        assert_eq!(found, [b"a"]);
    }

    #[test]
    fn a_certificate_that_cant_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("ca.crt")).unwrap();
        let error = read_all(dir.path(), &mut Vec::new()).unwrap_err();
        assert!(error.to_string().ends_with("ca.crt"), "{error}");
    }
}
