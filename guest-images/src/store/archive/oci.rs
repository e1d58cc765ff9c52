//! An OCI image layout: `index.json`, and blobs by their digests (OCI image specification,
//! image-layout.md).

use std::collections::BTreeMap;

use super::files::Files;
use super::{ArchiveError, Found, FoundLayer, read_document};
use crate::store::blob_digest::BlobDigest;
use crate::store::manifest::{Descriptor, Document, Index, Manifest, Platform};

const INDEX: &str = "index.json";

/// The tag of an image in its layout; some programs write its whole name.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The whole name, by containerd and by what is built on it.
const FULL_NAME: &str = "io.containerd.image.name";

/// How deep lists of images may lie in lists.
const MAX_DEPTH: usize = 4;

/// The images, if it is such a layout.
pub(super) fn find(files: &Files) -> Result<Option<Vec<Found>>, ArchiveError> {
    let Some(index) = files.open(INDEX)? else {
        return Ok(None);
    };
    let Document::Index(Index { manifests }) = Document::parse(&read_document(INDEX, index)?, "")?
    else {
        return Err(ArchiveError::NoImage);
    };
    let platform = Platform::of_this_machine();
    // One image may have several names.
    let mut by_digest: BTreeMap<BlobDigest, Found> = BTreeMap::new();
    let mut order = Vec::new();
    let several = manifests.len() > 1;
    for descriptor in &manifests {
        // Without names the list is that of one image for several platforms.
        let for_another = descriptor
            .platform
            .as_ref()
            .is_some_and(|it| !platform.runs(it));
        if several && for_another {
            continue;
        }
        let known_as: Vec<_> = [FULL_NAME, REF_NAME]
            .iter()
            .filter_map(|name| descriptor.annotations.get(*name).cloned())
            .collect();
        // A tag alone is no name.
        let full = |name: &&String| name.contains([':', '/']);
        let names = known_as
            .iter()
            .filter(full)
            .filter_map(|it| it.parse().ok());
        let mut names: Vec<_> = names.collect();
        names.dedup();
        match by_digest.get_mut(&descriptor.digest) {
            Some(found) => {
                found.known_as.extend(known_as);
                found.names.extend(names);
            }
            None => {
                let manifest = manifest(files, descriptor, &platform)?;
                let config = document(files, &manifest.config)?;
                let layers = manifest.layers.into_iter();
                let layers = layers.map(|it| FoundLayer {
                    path: path_of(&it.digest),
                    promised: Some((it.digest, it.size)),
                });
                order.push(descriptor.digest);
                by_digest.insert(
                    descriptor.digest,
                    Found {
                        known_as,
                        names,
                        manifest: Some(descriptor.digest),
                        config,
                        layers: layers.collect(),
                    },
                );
            }
        }
    }
    let found = order.iter().filter_map(|it| by_digest.remove(it)).collect();
    Ok(Some(found))
}

/// The manifest that a descriptor leads to, be it over lists.
fn manifest(
    files: &Files,
    descriptor: &Descriptor,
    platform: &Platform,
) -> Result<Manifest, ArchiveError> {
    let mut descriptor = descriptor.clone();
    for _ in 0..MAX_DEPTH {
        let bytes = document(files, &descriptor)?;
        match Document::parse(&bytes, &descriptor.media_type)? {
            Document::Manifest(manifest) => return Ok(manifest),
            Document::Index(index) => descriptor = index.choose(platform)?.clone(),
        }
    }
    Err(ArchiveError::NoImage)
}

/// A document, which must have its digest.
fn document(files: &Files, descriptor: &Descriptor) -> Result<Vec<u8>, ArchiveError> {
    let path = path_of(&descriptor.digest);
    let bytes = read_document(&path, files.must_have(&path)?)?;
    let came = descriptor.digest.of_same_kind(&bytes);
    if came != descriptor.digest {
        return Err(ArchiveError::Digest {
            promised: descriptor.digest.into(),
            came: came.into(),
        });
    }
    Ok(bytes)
}

fn path_of(digest: &BlobDigest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}
