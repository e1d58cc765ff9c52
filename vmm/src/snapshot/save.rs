//! Writes guest memory to a memory file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use vm_memory::{GuestMemoryBackend, GuestMemoryRegion, MemoryRegionAddress};

use super::AddressSpace;
use super::description::{InvalidMemory, SavedMemory};
use super::memory_digest::{BUFFER_BYTES, MemoryDigest};
use crate::memory::GuestMemory;

/// Why memory is not saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The disk or the user's quota.
    #[error("there is no room for a snapshot in {dir}", dir = dir.display())]
    NoRoom {
        /// Where it was to be.
        dir: PathBuf,
        /// Which of both.
        source: io::Error,
    },
    /// The file can't be written.
    #[error("{path} can't be written", path = path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Memory can't be looked at.
    #[error("what there is in guest memory can't be found out")]
    Look(#[source] io::Error),
    /// Memory that could not be read again.
    #[error(transparent)]
    Invalid(#[from] InvalidMemory),
}

impl SaveError {
    /// What could not be written to the file at `path`, and why.
    pub(super) fn writing(path: &Path) -> impl Fn(io::Error) -> Self {
        |source| match (source.kind(), path.parent()) {
            (io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded, Some(dir)) => {
                Self::NoRoom {
                    dir: dir.to_owned(),
                    source,
                }
            }
            _ => Self::Write {
                path: path.to_owned(),
                source,
            },
        }
    }

    /// What the user can do, if anything is known.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::NoRoom { .. } => {
                Some("remove snapshots or other files there, or have them elsewhere")
            }
            Self::Write { source, .. } if source.kind() == io::ErrorKind::FileTooLarge => {
                Some("raise the limit on the size of files, which ulimit -f shows")
            }
            _ => None,
        }
    }
}

/// Writes what there is in `memory` to the empty `file` at `path`. Nothing may write to the
/// memory meanwhile. Not synced.
pub(super) fn write(
    memory: &GuestMemory,
    space: &AddressSpace,
    file: &File,
    path: &Path,
) -> Result<SavedMemory, SaveError> {
    let extents = space.extents(memory).map_err(SaveError::Look)?;
    let bytes = memory.iter().map(|region| region.len()).sum();
    file.set_len(bytes).map_err(SaveError::writing(path))?;
    let mut digest = MemoryDigest::default();
    let mut buffer = vec![0; BUFFER_BYTES];
    for extent in extents.iter() {
        digest.extent(extent);
        let mut offset = extent.offset;
        while offset < extent.end() {
            let room = BUFFER_BYTES.min((extent.end() - offset) as usize);
            let data = &mut buffer[..room];
            let count = read(memory, offset, data).map_err(SaveError::Look)?;
            let data = &data[..count];
            digest.data(data);
            file.write_all_at(data, offset)
                .map_err(SaveError::writing(path))?;
            offset += count as u64;
        }
    }
    Ok(SavedMemory::new(bytes, extents, digest.finish())?)
}

/// Copies RAM from `position` on, counted without the hole, as far as it goes on in one region.
fn read(memory: &GuestMemory, mut position: u64, data: &mut [u8]) -> io::Result<usize> {
    for region in memory.iter() {
        if position < region.len() {
            let count = (data.len() as u64).min(region.len() - position) as usize;
            let slice = region
                .get_slice(MemoryRegionAddress(position), count)
                .map_err(io::Error::other)?;
            return Ok(slice.copy_to(&mut data[..count]));
        }
        position -= region.len();
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}
