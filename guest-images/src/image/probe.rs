//! The built-in image `probe`: a static program that measures from inside an instance, and a file
//! for it to read.

use std::path::{Path, PathBuf};

use launch::{Digest, Progress};
use sha2::{Digest as _, Sha256};

use super::made::{self, BARE_DIRECTORIES, BARE_FILES};
use super::tree::{self, FileError};
use crate::cache::{Cache, CacheError};
use crate::digest::DigestError;

/// A static x86-64 program.
static PROBE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/probe"));

/// Goes up when the image is made differently from the same program.
const RECIPE: &[u8] = b"2";

/// The program's path in the image.
pub(super) const PROGRAM: &str = "/probe";

/// What it reads: it looks for a file beside itself.
const DATA: &str = "probe.data";

/// A power of two, as its halves are: one is read in no order, one from front to back.
const DATA_BYTES: usize = 8 << 20;

/// Why the image `probe` can't be made.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// A file can't be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// What was made can't be read.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// The directory with the image, made if it is not there, and its digest.
pub(super) fn root(
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<(PathBuf, Digest), ProbeError> {
    let mut hash = Sha256::new();
    hash.update(RECIPE);
    hash.update(PROBE);
    let name = Digest::from_bytes(&hash.finalize());
    made::once(cache, &name, progress, |root| Ok(make(root)?))
}

fn make(root: &Path) -> Result<(), FileError> {
    tree::make(root, BARE_DIRECTORIES, BARE_FILES)?;
    tree::write(&root.join("probe"), PROBE, 0o755)?;
    tree::write(&root.join(DATA), &data(), 0o644)?;
    // Any, as long as it is the same wherever and whenever the image is made.
    tree::set_times(root, 0)
}

/// Bytes that no file system makes less of, the same each time: the generator xorshift64 (Marsaglia,
/// "Xorshift RNGs", 2003).
fn data() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut data = Vec::with_capacity(DATA_BYTES);
    while data.len() < DATA_BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        data.extend_from_slice(&state.to_le_bytes());
    }
    data
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use launch::NoProgress;
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn the_image_is_the_same_wherever_it_is_made() {
        let dir = TempDir::new().unwrap();
        let resolve = |name: &str| {
            let cache = Cache::new(dir.path().join(name), []);
            root(&cache, &NoProgress).unwrap()
        };
        let (a, b) = (resolve("a"), resolve("b"));
        assert_ne!(a.0, b.0);
        assert_eq!(a.1, b.1);
        let metadata = |path: &str| std::fs::metadata(a.0.join(path)).unwrap();
        assert_eq!(metadata("probe").mode() & 0o7777, 0o755);
        assert_eq!(metadata("tmp").mode() & 0o7777, 0o1777);
        assert_eq!(metadata(DATA).size(), DATA_BYTES as u64);
    }

    #[test]
    fn the_program_is_small_and_needs_no_library() {
        assert!(PROBE.starts_with(b"\x7fELF"));
        assert!(PROBE.len() < 1536 << 10, "{} bytes", PROBE.len());
    }
}
