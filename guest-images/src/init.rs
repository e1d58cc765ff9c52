use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use launch::{Digest, Progress};

use crate::cache::{Cache, CacheError, Shelf};

/// The initial RAM file system: an archive with [`INIT`] as `/init`, and nothing else.
static ARCHIVE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/init.cpio"));

/// SHA-256 of it, taken when it was built: it is a megabyte.
static ARCHIVE_SHA256: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/init.cpio.sha256"));

/// Start and size of `/init` in it.
const INIT_PLACE: (usize, usize) = include!(concat!(env!("OUT_DIR"), "/init-place.rs"));

/// The guest's PID 1: a static x86-64 program. It needs a kernel with the options of the recipe in
/// `kernel/`.
pub static INIT: &[u8] = ARCHIVE.split_at(INIT_PLACE.0).1.split_at(INIT_PLACE.1).0;

/// There is no file with the initial RAM file system.
#[derive(Debug, thiserror::Error)]
pub enum InitramfsError {
    /// It can't be written.
    #[error("can't write the guest's init to {}", path.display())]
    Write {
        /// The unfinished file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl From<InitramfsError> for launch::Error {
    fn from(error: InitramfsError) -> Self {
        Self::new(error)
    }
}

/// The digest of the initial RAM file system that this jaula's guests have.
pub fn initramfs_digest() -> Digest {
    Digest::from_bytes(ARCHIVE_SHA256)
}

/// The initial RAM file system as a file that never changes: guests map it, and share what they
/// don't write to.
///
/// # Errors
///
/// When it is not in the cache and can't be put there.
pub fn initramfs(cache: &Cache, progress: &dyn Progress) -> Result<PathBuf, InitramfsError> {
    let name = format!("{}.cpio", initramfs_digest());
    cache.get_or_make(Shelf::Inits, &name, progress, |path| {
        write(path).map_err(|source| InitramfsError::Write {
            path: path.to_owned(),
            source,
        })
    })
}

fn write(path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(ARCHIVE)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::{Command, Stdio};

    use launch::NoProgress;

    use super::*;

    #[test]
    fn init_is_small() {
        // The guest's kernel copies every byte: where it is emulated, a KiB is 0.13 ms of a boot of
        // some seconds.
        const MAX_BYTES: usize = 1088 << 10;
        assert!(INIT.starts_with(b"\x7fELF"));
        assert!(INIT.len() < MAX_BYTES, "{} bytes", INIT.len());
    }

    #[test]
    fn fields_are_where_the_kernel_reads_them() {
        let field = |n: usize| {
            let digits = std::str::from_utf8(&ARCHIVE[6 + 8 * n..14 + 8 * n]).unwrap();
            u32::from_str_radix(digits, 16).unwrap()
        };
        assert_eq!(&ARCHIVE[..6], b"070701");
        assert_eq!(field(1), 0o100_755);
        assert_eq!(field(6) as usize, INIT.len());
        assert_eq!(field(11), 5);
        assert_eq!(&ARCHIVE[110..115], b"init\0");
        assert!(ARCHIVE[116..].starts_with(INIT));
    }

    #[test]
    fn cpio_unpacks_the_file_in_the_cache() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path(), []);
        let made = initramfs(&cache, &NoProgress).unwrap();
        assert_eq!(initramfs(&cache, &NoProgress).unwrap(), made);
        let cpio = Command::new("cpio")
            .args(["-i", "--to-stdout", "init"])
            .stdin(File::open(&made).unwrap())
            .stderr(Stdio::null())
            .output();
        match cpio {
            Ok(output) => assert!(output.stdout == INIT),
            Err(error) => eprintln!("SKIPPED: cpio can't be run: {error}"),
        }
        assert!(fs::read(made).unwrap() == ARCHIVE);
    }
}
