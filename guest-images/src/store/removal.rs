//! Removing images, as `docker rmi` does.

use std::collections::{BTreeMap, BTreeSet};

use super::blob_digest::BlobDigest;
use super::catalog::{Names, key};
use super::reference::Reference;
use super::{Store, StoreError};

impl RemoveError {
    /// What the user can do about it.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::NoImage(_) | Self::Ambiguous(_) => Some("see jaula images"),
            Self::Named { .. } => Some("remove it by each of them, or add --force"),
            Self::InUse(_) => Some("end what runs from it first"),
            Self::Store(error) => error.remedy(),
        }
    }
}

/// What was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// A name; the image is still there.
    Name(Reference),
    /// An image, with all layers that no other has.
    Image(BlobDigest),
}

/// Why an image was not removed. Nothing was.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// There is none of that name or ID.
    #[error("there is no image {0:?}")]
    NoImage(String),
    /// It can't be told which one is meant.
    #[error("more than one image's ID begins with {0:?}")]
    Ambiguous(String),
    /// It was given by its ID and has several names.
    #[error("the image {id} has {names} names")]
    Named {
        /// The beginning of its ID.
        id: String,
        /// How many.
        names: usize,
    },
    /// A running instance has it for its root.
    #[error("the image {0} is in use")]
    InUse(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An image as lists show it: once for each of its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// `None` if it has lost all its names.
    pub name: Option<Reference>,
    /// The digest of its configuration.
    pub id: BlobDigest,
    /// Of its manifest, if it came from a registry.
    pub manifest: Option<BlobDigest>,
    /// Unpacked, in bytes, with layers that other images have, too.
    pub bytes: u64,
    /// When it was made, RFC 3339; whatever it says itself.
    pub created: Option<String>,
    /// What it says of itself.
    pub labels: BTreeMap<String, String>,
}

impl Store {
    /// All images, in the order of their names; those without one come last.
    ///
    /// # Errors
    ///
    /// When the store can't be read.
    pub fn list(&self) -> Result<Vec<Listed>, StoreError> {
        if !self.dir().exists() {
            return Ok(Vec::new());
        }
        let _lock = self.lock()?;
        let names = self.names()?;
        let named = names
            .iter()
            .map(|(name, named)| (Some(name), named.id, named.manifest));
        let with_name: BTreeSet<_> = names.values().map(|named| named.id).collect();
        let without = self.images().all()?.into_iter();
        let without = without.filter(|id| !with_name.contains(id));
        let mut list = Vec::new();
        for (name, id, manifest) in named.chain(without.map(|id| (None, id, None))) {
            let record = self.record(id)?.ok_or(StoreError::Vanished(id))?;
            let config = record.configuration()?.config;
            list.push(Listed {
                name: name.cloned(),
                id,
                manifest,
                bytes: record.bytes,
                created: config.created,
                labels: config.labels,
            });
        }
        Ok(list)
    }

    /// Takes a name from its image, and removes the image if it was its last one. An ID, or the
    /// beginning of one, stands for all names of an image; if there are several it takes `force`.
    /// Layers that no image has any more go with it.
    ///
    /// # Errors
    ///
    /// When there is no such image, or a running instance uses it.
    pub fn remove(&self, name_or_id: &str, force: bool) -> Result<Vec<Removed>, RemoveError> {
        let missing = || RemoveError::NoImage(name_or_id.to_owned());
        if !self.dir().exists() {
            return Err(missing());
        }
        self.check_owners()?;
        let _lock = self.lock()?;
        let mut names = self.names()?;
        let named = name_or_id.parse().ok().map(|name: Reference| key(&name));
        let named = named.filter(|name| names.contains_key(name));
        let (id, gone) = match named {
            Some(name) => {
                let id = names.get(&name).map(|named| named.id);
                (id.ok_or_else(missing)?, vec![name])
            }
            None => {
                let id = self.one_that_begins(name_or_id)?.ok_or_else(missing)?;
                let all = names_of(&names, id);
                if all.len() > 1 && !force {
                    return Err(RemoveError::Named {
                        id: id.short(),
                        names: all.len(),
                    });
                }
                (id, all)
            }
        };
        let is_last = names_of(&names, id).len() == gone.len();
        if is_last && self.images().is_used(id)? {
            return Err(RemoveError::InUse(id.short()));
        }
        let mut removed = Vec::new();
        for name in gone {
            names.remove(&name);
            removed.push(Removed::Name(name));
        }
        // First of all: an image without its layers must not be found by a name.
        self.set_names(&names)?;
        if is_last {
            self.images().remove(id)?;
            self.remove_unused_layers()?;
            removed.push(Removed::Image(id));
        }
        Ok(removed)
    }

    /// Removes layers that neither an image has nor somebody who is adding one holds.
    fn remove_unused_layers(&self) -> Result<(), StoreError> {
        let mut used = BTreeSet::new();
        for id in self.images().all()? {
            let record = self.record(id)?.ok_or(StoreError::Vanished(id))?;
            used.extend(record.configuration()?.diff_ids);
        }
        for diff_id in self.layers().all()? {
            if !used.contains(&diff_id) {
                self.layers().remove(diff_id)?;
            }
        }
        Ok(())
    }

    fn one_that_begins(&self, beginning: &str) -> Result<Option<BlobDigest>, RemoveError> {
        let digits = beginning.strip_prefix("sha256:").unwrap_or(beginning);
        match self.that_begin(digits)?[..] {
            [] => Ok(None),
            [only] => Ok(Some(only)),
            _ => Err(RemoveError::Ambiguous(beginning.to_owned())),
        }
    }
}

fn names_of(names: &Names, id: BlobDigest) -> Vec<Reference> {
    let those = names.iter().filter(|(_, named)| named.id == id);
    those.map(|(name, _)| name.clone()).collect()
}
