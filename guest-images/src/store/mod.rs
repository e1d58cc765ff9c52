//! Images that were loaded or pulled, unpacked.
//!
//! ```text
//! layers/DIFF-ID/tree     a layer in overlayfs's format; images share them
//! layers/DIFF-ID/record   how large it is, and which directories it does not describe
//! images/ID/record        an image: its configuration, which names its layers
//! images/ID/top           directories that its layers do not describe, as they must look
//! names                   which name stands for which image
//! lock                    held, exclusive, while names or images change
//! ```
//!
//! An image gets a name when all its layers are there and checked, so one that was loaded by half
//! can't be run. See `shelf` for how two processes at once, and one that is killed, are survived.

mod archive;
mod blob_digest;
mod catalog;
mod config;
mod layer;
mod limits;
mod manifest;
mod null;
mod owners;
mod reference;
mod removal;
mod shelf;
mod stream;
mod top;
mod unpack;

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use host::locked::lock_file;
use launch::NoProgress;

pub use archive::{ArchiveError, Choice, Loaded, Loading, Naming};
pub use blob_digest::{BlobDigest, InvalidDigest};
pub use catalog::StoredImage;
pub(crate) use catalog::{is_stored, sole_directory};
pub use config::{ImageConfig, diff_ids};
pub use layer::{Intake, Layer, LayerBlob};
pub use limits::{Limits, TooLarge};
pub use manifest::{
    Descriptor, Document, Index, MAX_DOCUMENT_BYTES, Manifest, ManifestError, Platform,
};
pub use reference::{InvalidReference, Reference};
pub use removal::{Listed, RemoveError, Removed};
use shelf::Shelf;
pub(crate) use unpack::is_opaque;
pub(crate) use unpack::privileges::Privileges;
pub use unpack::{InvalidPax, PlaceError, SparseError, TapeError, UnpackError};

/// Why the store can't do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or directory of the store can't be used.
    #[error("can't {action} {}", path.display())]
    Io {
        /// In a word.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file of the store is not what was written to it.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A document of the image can't be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The blob of a layer failed to come, or is not compressed in any way that is known.
    #[error("can't read layer {layer}")]
    Read {
        /// The beginning of its diff id.
        layer: String,
        /// Why not.
        source: io::Error,
    },
    /// A layer has something in it that can't be.
    #[error("layer {layer}")]
    Unpack {
        /// The beginning of its diff id.
        layer: String,
        /// What.
        source: UnpackError,
    },
    /// Something else came than was promised.
    #[error("the layer {promised} of {size} bytes came as {came} of {bytes} bytes")]
    Blob {
        /// The digest in the manifest.
        promised: Box<BlobDigest>,
        /// The size in the manifest.
        size: u64,
        /// The digest of what came.
        came: Box<BlobDigest>,
        /// The size of what came.
        bytes: u64,
    },
    /// A layer is not the one that the configuration names.
    #[error("the layer {promised} unpacks to {came}")]
    DiffId {
        /// In the configuration.
        promised: Box<BlobDigest>,
        /// What it is.
        came: Box<BlobDigest>,
    },
    /// The image is not made of the layers that its configuration names.
    #[error("the layers of the image {0} are not those of its configuration")]
    WrongLayers(BlobDigest),
    /// They belong to others than they would now.
    #[error("the images in {} were unpacked with other users and groups than there are now", .0.display())]
    Owners(PathBuf),
    /// Somebody removed it while it was being used for an image.
    #[error("{0} was removed while it was being added")]
    Vanished(BlobDigest),
}

impl StoreError {
    /// What the user can do about it.
    pub fn remedy(&self) -> Option<&'static str> {
        let unpack = match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                return Some("free some space there, or set JAULA_DATA_DIR");
            }
            Self::Read { source, .. } => return limits::remedy(source),
            Self::Unpack { source, .. } => source,
            Self::Owners(_) => {
                return Some(
                    "restore what /etc/subuid and /etc/subgid said of you, or set JAULA_DATA_DIR to another directory and load them again",
                );
            }
            _ => return None,
        };
        match unpack {
            UnpackError::TooLarge(too_large) => Some(too_large.remedy()),
            UnpackError::Owner { .. } => {
                Some("have larger ranges in /etc/subuid and /etc/subgid, or run as root")
            }
            UnpackError::Tape(TapeError::Read(source)) | UnpackError::Entry { source, .. } => {
                limits::remedy(source)
            }
            UnpackError::Place {
                source: PlaceError::TooLarge(too_large),
                ..
            } => Some(too_large.remedy()),
            _ => None,
        }
    }
}

impl From<StoreError> for launch::Error {
    fn from(error: StoreError) -> Self {
        let remedy = error.remedy();
        Self::remedied(error, remedy)
    }
}

pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// The images of one user.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
}

impl Store {
    /// The store in `dir`, which is made when something is first put there.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The layer, if it is here: then it need not be downloaded. It stays here while it is held.
    ///
    /// # Errors
    ///
    /// When the store can't be read.
    pub fn layer(&self, diff_id: BlobDigest) -> Result<Option<Layer>, StoreError> {
        self.check_owners()?;
        Ok(self.layers().find(diff_id)?.map(Layer))
    }

    /// The layer, if it is here, or unpacked from what `open` opens, as [`Store::add_layer`] does.
    /// `what` is said to `intake`'s progress.
    ///
    /// # Errors
    ///
    /// As there, and when `open` fails.
    pub fn find_or_add_layer<R: Read, E: From<StoreError>>(
        &self,
        diff_id: BlobDigest,
        what: &str,
        intake: &Intake<'_>,
        open: impl FnOnce() -> Result<(LayerBlob, R), E>,
    ) -> Result<Layer, E> {
        if let Some(here) = self.layer(diff_id)? {
            return Ok(here);
        }
        let (blob, mut reader) = open()?;
        intake.progress.begin(what);
        let added = self.add_layer(&blob, &mut reader, intake);
        intake.progress.end();
        Ok(added?)
    }

    /// Unpacks a layer from its blob, compressed with gzip, zstd or not at all, unless it is here
    /// by now. A layer is here whole and checked, or not at all.
    ///
    /// Tells `intake`'s progress how far it is, between a begin and an end of the caller's.
    ///
    /// # Errors
    ///
    /// When the blob is not what was promised, holds what can't be unpacked, or is larger than
    /// allowed; and when the store can't be written to.
    pub fn add_layer(
        &self,
        blob: &LayerBlob,
        reader: &mut dyn Read,
        intake: &Intake<'_>,
    ) -> Result<Layer, StoreError> {
        self.claim()?;
        let layers = self.layers();
        make_dir(&layers.dir)?;
        let make = |dir: &Path| layer::make(blob, reader, dir, intake);
        let made = layers.find_or_make(blob.diff_id, intake.progress, make)?;
        Ok(Layer(made))
    }

    /// Removes what processes that were killed left unfinished. What is being added now stays.
    ///
    /// # Errors
    ///
    /// When a leftover can't be removed.
    pub fn sweep(&self) -> Result<(), StoreError> {
        self.layers().sweep()?;
        self.images().sweep()
    }

    fn layers(&self) -> Shelf {
        Shelf {
            dir: self.dir.join("layers"),
        }
    }

    fn images(&self) -> Shelf {
        Shelf {
            dir: self.dir.join("images"),
        }
    }

    /// Keeps all others from changing names and images, for as long as the file is open.
    fn lock(&self) -> Result<File, StoreError> {
        make_dir(&self.dir)?;
        let path = self.dir.join("lock");
        lock_file(&path, &NoProgress, "").map_err(io_error("lock", &path))
    }
}

/// Makes a directory that only its owner enters: what is in images may be set-user-ID, or be
/// read by some only.
fn make_dir(path: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(io_error("make", path))
}

/// Writes a file so that it has its old contents or its new ones, whatever happens.
fn replace(path: &Path, contents: &[u8]) -> Result<(), StoreError> {
    use std::io::Write;
    let dir = path.parent().unwrap_or(Path::new("."));
    let written = tempfile::NamedTempFile::new_in(dir).and_then(|mut file| {
        file.write_all(contents)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(dir)?.sync_all()
    });
    written.map_err(io_error("write", path))
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("read", path)(error)),
    }
}

#[cfg(test)]
mod tests;
