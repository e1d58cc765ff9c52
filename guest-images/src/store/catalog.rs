//! Which images there are, and by which names.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use launch::{Digest, NoProgress, RootFs};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::blob_digest::BlobDigest;
use super::config::{Configuration, ImageConfig};
use super::layer::Layer;
use super::reference::Reference;
use super::shelf::Held;
use super::unpack::privileges::Privileges;
use super::{Store, StoreError, io_error, layer, make_dir, read_if_there, replace, top};

const RECORD: &str = "record";

/// What an image is, and what it is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ImageRecord {
    /// As it came, to its last byte: its digest is the image's ID.
    config: String,
    /// Unpacked, in bytes, with layers that other images have, too.
    pub(super) bytes: u64,
}

/// A name, and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Named {
    pub(super) id: BlobDigest,
    /// Of the manifest, or of the list, that the name led to on its registry.
    pub(super) manifest: Option<BlobDigest>,
}

pub(super) type Names = BTreeMap<Reference, Named>;

/// An image of the store. None of it can be removed while this is held.
#[derive(Debug)]
pub struct StoredImage {
    /// The digest of its configuration, which is what docker calls an image's ID.
    pub id: BlobDigest,
    /// What it says of how to run it.
    pub config: ImageConfig,
    /// The digest of the manifest, or of the list of manifests, that it was pulled by.
    pub manifest: Option<BlobDigest>,
    /// The directories that overlayfs is to put on top of each other, the topmost first.
    pub layers: Vec<PathBuf>,
    /// What the root file system that they make together is known by.
    pub digest: Digest,
    /// Nobody removes the image while they are held.
    _held: (Held, Vec<Layer>),
}

impl Store {
    /// Adds an image whose layers are all here, the lowest first, and names it. Whatever had the
    /// name before loses it. Returns the image's ID.
    ///
    /// `manifest` is the digest that the name led to, if it was on a registry.
    ///
    /// # Errors
    ///
    /// When the layers are not those of the configuration, or the store can't be written to.
    pub fn add_image(
        &self,
        name: Option<&Reference>,
        manifest: Option<BlobDigest>,
        config: &[u8],
        layers: &[Layer],
    ) -> Result<BlobDigest, StoreError> {
        let id = BlobDigest::of(config);
        let Configuration { diff_ids, .. } = Configuration::parse(config)?;
        if !layers.iter().map(Layer::diff_id).eq(diff_ids) {
            return Err(StoreError::WrongLayers(id));
        }
        let records = layers.iter().map(Layer::record);
        let records = records.collect::<Result<Vec<_>, _>>()?;
        let images = self.images();
        make_dir(&images.dir)?;
        let held = images.find_or_make(id, &NoProgress, |dir| {
            let record = ImageRecord {
                // JSON is text, and was parsed.
                config: String::from_utf8_lossy(config).into_owned(),
                bytes: records.iter().map(|record| record.bytes).sum(),
            };
            top::make(layers, &records, dir)?;
            write_json(&dir.join(RECORD), &record)?;
            let synced = fs::File::open(dir).and_then(|dir| Ok(rustix::fs::syncfs(&dir)?));
            synced.map_err(io_error("write", dir))
        })?;
        if let Some(name) = name {
            let _lock = self.lock()?;
            let mut names = self.names()?;
            names.insert(key(name), Named { id, manifest });
            self.set_names(&names)?;
        }
        drop(held);
        Ok(id)
    }

    /// The image that has this name.
    ///
    /// # Errors
    ///
    /// When the store can't be read.
    pub fn find(&self, name: &Reference) -> Result<Option<StoredImage>, StoreError> {
        if !self.dir().exists() {
            return Ok(None);
        }
        // Between reading the name and locking the image it must not be removed.
        let _lock = self.lock()?;
        let names = self.names()?;
        let named = names.get(&key(name)).or_else(|| by_digest(&names, name));
        match named {
            Some(named) => self.open(named.id, named.manifest),
            None => Ok(None),
        }
    }

    /// The image of this ID.
    ///
    /// # Errors
    ///
    /// When the store can't be read.
    pub fn find_by_id(&self, id: BlobDigest) -> Result<Option<StoredImage>, StoreError> {
        if !self.dir().exists() {
            return Ok(None);
        }
        let _lock = self.lock()?;
        self.open(id, None)
    }

    /// The image whose ID is the only one that begins so.
    ///
    /// # Errors
    ///
    /// When the store can't be read.
    pub fn find_by_beginning(&self, digits: &str) -> Result<Option<StoredImage>, StoreError> {
        if !self.dir().exists() {
            return Ok(None);
        }
        let _lock = self.lock()?;
        match self.that_begin(digits)?[..] {
            [id] => self.open(id, None),
            _ => Ok(None),
        }
    }

    /// All IDs that begin so; none if there is nothing to begin with.
    pub(super) fn that_begin(&self, digits: &str) -> Result<Vec<BlobDigest>, StoreError> {
        if digits.is_empty() {
            return Ok(Vec::new());
        }
        let mut ids = self.images().all()?;
        ids.retain(|id| id.hex().starts_with(digits));
        Ok(ids)
    }

    fn open(
        &self,
        id: BlobDigest,
        manifest: Option<BlobDigest>,
    ) -> Result<Option<StoredImage>, StoreError> {
        self.check_owners()?;
        let Some(held) = self.images().find(id)? else {
            return Ok(None);
        };
        let path = held.dir.join(RECORD);
        let record: ImageRecord = read_json(&path)?.ok_or(StoreError::Vanished(id))?;
        let Configuration { config, diff_ids } = Configuration::parse(record.config.as_bytes())?;
        let mut layers = Vec::new();
        for diff_id in &diff_ids {
            // Nothing removes a layer that an image has.
            let layer = self.layer(*diff_id)?;
            layers.push(layer.ok_or(StoreError::Vanished(*diff_id))?);
        }
        let top = Some(held.dir.join(top::TREE)).filter(|top| top.is_dir());
        let trees = layers.iter().rev().map(Layer::tree);
        Ok(Some(StoredImage {
            id,
            config,
            manifest,
            layers: top.into_iter().chain(trees).collect(),
            digest: chain_digest(&diff_ids, Privileges::of_this_process()),
            _held: (held, layers),
        }))
    }

    pub(super) fn record(&self, id: BlobDigest) -> Result<Option<ImageRecord>, StoreError> {
        read_json(&self.images().dir.join(id.file_name()).join(RECORD))
    }

    pub(super) fn names(&self) -> Result<Names, StoreError> {
        Ok(read_json(&self.dir().join("names"))?.unwrap_or_default())
    }

    pub(super) fn set_names(&self, names: &Names) -> Result<(), StoreError> {
        let path = self.dir().join("names");
        replace(&path, &to_json(&path, names)?)
    }
}

impl ImageRecord {
    pub(super) fn configuration(&self) -> Result<Configuration, StoreError> {
        Ok(Configuration::parse(self.config.as_bytes())?)
    }
}

/// What an image is filed under: a digest says more than a tag.
pub(super) fn key(name: &Reference) -> Reference {
    name.without_tag_if_digest()
}

/// A name with a digest is also that of the image which was pulled by a tag that led there.
fn by_digest<'a>(names: &'a Names, name: &Reference) -> Option<&'a Named> {
    let digest = name.digest()?;
    let same = |other: &Reference| {
        (other.registry(), other.repository()) == (name.registry(), name.repository())
    };
    names
        .iter()
        .find(|(other, named)| same(other) && named.manifest.as_ref() == Some(digest))
        .map(|(_, named)| named)
}

/// Whether these are layers of a store, which nobody ever writes to: then the digest is theirs.
pub(crate) fn is_stored(root: &RootFs) -> bool {
    let diff_ids: Vec<_> = root
        .layers
        .iter()
        .filter(|tree| tree.ends_with(layer::TREE))
        .filter_map(|tree| tree.parent()?.file_name()?.to_str())
        .filter_map(BlobDigest::from_file_name)
        .rev()
        .collect();
    chain_digest(&diff_ids, Privileges::of_this_process()) == root.digest
}

/// The only layer of a root in the store, if it is one directory as it lies there.
pub(crate) fn sole_directory(root: &RootFs) -> Result<Option<&Path>, StoreError> {
    let Some(tree) = root.layers.only() else {
        return Ok(None);
    };
    let record = layer::read_record(&tree.with_file_name(layer::RECORD))?;
    Ok((!record.deletes).then_some(tree))
}

/// One digest for a stack of layers: of all their digests, in order. It holds as long as layers
/// are unpacked alike, which they are not by one who can't give files away.
fn chain_digest(diff_ids: &[BlobDigest], privileges: Privileges) -> Digest {
    let mut hash = Sha256::new();
    hash.update(b"layers 2\n");
    if !privileges.is_root {
        hash.update(b"of one owner\n");
    }
    for diff_id in diff_ids {
        hash.update(format!("{diff_id}\n"));
    }
    Digest::from_bytes(&hash.finalize())
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, StoreError> {
    let Some(bytes) = read_if_there(path)? else {
        return Ok(None);
    };
    let read = serde_json::from_slice(&bytes);
    read.map(Some).map_err(|source| StoreError::Damaged {
        path: path.to_owned(),
        source,
    })
}

fn to_json(path: &Path, value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|source| StoreError::Damaged {
        path: path.to_owned(),
        source,
    })
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), StoreError> {
    fs::write(path, to_json(path, value)?).map_err(io_error("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_digest_is_no_two_that_are_half_as_long() {
        let privileges = Privileges {
            is_root: true,
            is_host: true,
        };
        let one = [BlobDigest::Sha512([7; 64])];
        let two = [BlobDigest::Sha256([7; 32]); 2];
        assert_ne!(
            chain_digest(&one, privileges),
            chain_digest(&two, privileges)
        );
    }

    #[test]
    fn the_same_layers_with_other_owners_are_another_root() {
        let digest = |is_root, is_host| {
            let privileges = Privileges { is_root, is_host };
            chain_digest(&[BlobDigest::of(b"layer")], privileges)
        };
        assert_ne!(digest(true, true), digest(false, true));
        // Which numbers they have outside of the user namespace makes no difference in it.
        assert_eq!(digest(true, true), digest(true, false));
    }
}
