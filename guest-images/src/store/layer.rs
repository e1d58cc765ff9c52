use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use launch::Progress;
use serde::{Deserialize, Serialize};

use super::blob_digest::BlobDigest;
use super::limits::{Budget, Limits};
use super::shelf::Held;
use super::stream::LayerStream;
use super::unpack::privileges::Privileges;
use super::unpack::{Unpacked, unpack};
use super::{StoreError, io_error};

/// The directory of a layer's tree in its place in the store.
pub(super) const TREE: &str = "tree";

/// The file beside it, a [`LayerRecord`].
pub(super) const RECORD: &str = "record";

/// A layer as a manifest or an archive promises it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerBlob {
    /// Of the blob as it comes, compressed or not; an archive of docker's has none.
    pub digest: Option<BlobDigest>,
    /// How long the blob is said to be, in bytes: only to show how far it is, and to be compared
    /// with if there is a digest.
    pub size: u64,
    /// Of the uncompressed layer.
    pub diff_id: BlobDigest,
}

/// An image on its way into the store: how large it may be, and who is told.
pub struct Intake<'a> {
    pub(super) budget: Budget,
    pub(super) progress: &'a dyn Progress,
    noted: AtomicBool,
}

impl<'a> Intake<'a> {
    /// One for each image.
    pub fn new(limits: Limits, progress: &'a dyn Progress) -> Self {
        Self {
            budget: Budget::new(limits),
            progress,
            noted: AtomicBool::new(false),
        }
    }

    /// Says once an image that it is not all that it was.
    fn note_lost(&self, privileges: Privileges) {
        if !self.noted.swap(true, Ordering::Relaxed) {
            self.progress.note(if privileges.is_root {
                "some extended attributes of the image's files can't be kept here"
            } else {
                "the image's files all belong to you, and have no attributes that only root can set (jaula doctor says how to have more users)"
            });
        }
    }
}

/// What is kept of a layer beside its tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LayerRecord {
    /// Uncompressed, in bytes.
    pub(super) bytes: u64,
    /// Whether it deletes anything of the layers beneath.
    pub(super) deletes: bool,
    /// Directories that no entry of the layer describes, so that they must look as in the layers
    /// beneath.
    pub(super) implicit: BTreeSet<PathBuf>,
}

/// A layer of the store, which can't be removed while this is held.
#[derive(Debug)]
pub struct Layer(pub(super) Held);

impl Layer {
    /// The digest of its archive, uncompressed.
    pub fn diff_id(&self) -> BlobDigest {
        self.0.digest
    }

    /// Its tree, in overlayfs's format.
    pub fn tree(&self) -> PathBuf {
        self.0.dir.join(TREE)
    }

    pub(super) fn record(&self) -> Result<LayerRecord, StoreError> {
        read_record(&self.0.dir.join(RECORD))
    }
}

pub(super) fn read_record(path: &Path) -> Result<LayerRecord, StoreError> {
    let bytes = std::fs::read(path).map_err(io_error("read", path))?;
    serde_json::from_slice(&bytes).map_err(|source| StoreError::Damaged {
        path: path.to_owned(),
        source,
    })
}

/// Unpacks a blob to `dir`, which is empty, and checks it to its last byte.
pub(super) fn make(
    blob: &LayerBlob,
    reader: &mut dyn Read,
    dir: &Path,
    intake: &Intake<'_>,
) -> Result<(), StoreError> {
    let privileges = Privileges::of_this_process();
    let tree = dir.join(TREE);
    std::fs::create_dir(&tree).map_err(io_error("make", &tree))?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&tree, mode).map_err(io_error("make", &tree))?;

    let layer = || blob.diff_id.short();
    let unreadable = |source| StoreError::Read {
        layer: layer(),
        source,
    };
    let stream =
        LayerStream::new(reader, blob, &intake.budget, intake.progress).map_err(unreadable)?;
    let (unpacked, stream) =
        unpack(stream, &tree, privileges, &intake.budget).map_err(|source| StoreError::Unpack {
            layer: layer(),
            source,
        })?;
    let digests = stream.finish().map_err(unreadable)?;
    if let Some(promised) = blob.digest
        && (promised, blob.size) != (digests.blob, digests.blob_bytes)
    {
        return Err(StoreError::Blob {
            promised: promised.into(),
            size: blob.size,
            came: digests.blob.into(),
            bytes: digests.blob_bytes,
        });
    }
    if digests.diff_id != blob.diff_id {
        return Err(StoreError::DiffId {
            promised: blob.diff_id.into(),
            came: digests.diff_id.into(),
        });
    }
    let Unpacked {
        implicit,
        lost,
        deletes,
    } = unpacked;
    if lost {
        intake.note_lost(privileges);
    }
    let record = LayerRecord {
        bytes: digests.bytes,
        deletes,
        implicit,
    };
    let path = dir.join(RECORD);
    let text = serde_json::to_vec(&record).map_err(|source| StoreError::Damaged {
        path: path.clone(),
        source,
    })?;
    std::fs::write(&path, text).map_err(io_error("write", &path))?;
    // One for the whole file system and not one a file: a layer has thousands.
    let synced = File::open(dir).and_then(|dir| Ok(rustix::fs::syncfs(&dir)?));
    synced.map_err(io_error("write", dir))
}
