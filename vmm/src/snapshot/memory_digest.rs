//! The digest of a memory file: of where data is, and of the data.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use launch::Digest;
use sha2::{Digest as _, Sha256};

use super::{Extent, Extents};

/// How much of a file is in this process at a time: as much as stays in a core's cache.
pub(super) const BUFFER_BYTES: usize = 256 << 10;

/// A digest in the making.
#[derive(Default)]
pub(super) struct MemoryDigest(Sha256);

impl MemoryDigest {
    /// An extent begins. Its data must follow.
    pub fn extent(&mut self, extent: Extent) {
        self.0.update(extent.offset.to_le_bytes());
        self.0.update(extent.bytes.to_le_bytes());
    }

    /// The next data of the extent.
    pub fn data(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    pub fn finish(self) -> Digest {
        Digest::from_bytes(&self.0.finalize())
    }
}

/// Reads the digest of a file's extents, all of which it must have.
pub(super) fn of_file(file: &File, extents: &Extents) -> io::Result<Digest> {
    let mut digest = MemoryDigest::default();
    let mut buffer = vec![0; BUFFER_BYTES];
    for extent in extents.iter() {
        digest.extent(extent);
        for offset in (extent.offset..extent.end()).step_by(BUFFER_BYTES) {
            let bytes = BUFFER_BYTES.min((extent.end() - offset) as usize);
            let data = &mut buffer[..bytes];
            file.read_exact_at(data, offset)?;
            digest.data(data);
        }
    }
    Ok(digest.finish())
}
