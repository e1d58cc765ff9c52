//! What `docker save` writes: `manifest.json`, a list of images with the names of their files
//! (moby, image/spec/v1.2.md, "Combined Image JSON + Filesystem Changeset Format").

use serde::Deserialize;

use super::files::Files;
use super::{ArchiveError, Found, FoundLayer, read_document};
use crate::store::manifest::ManifestError;

const LIST: &str = "manifest.json";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// The images, if the archive is docker's.
pub(super) fn find(files: &Files) -> Result<Option<Vec<Found>>, ArchiveError> {
    let Some(list) = files.open(LIST)? else {
        return Ok(None);
    };
    let list = read_document(LIST, list)?;
    let items: Vec<Item> = serde_json::from_slice(&list)
        .map_err(|source| ManifestError::Json { what: LIST, source })?;
    let found = items.into_iter().map(|item| {
        let known_as = item.repo_tags.unwrap_or_default();
        let layers = item.layers.unwrap_or_default().into_iter();
        Ok(Found {
            // A name that is none is one that nothing can be found by.
            names: known_as.iter().filter_map(|it| it.parse().ok()).collect(),
            known_as,
            manifest: None,
            config: read_document(&item.config, files.must_have(&item.config)?)?,
            layers: layers
                .map(|path| FoundLayer {
                    path,
                    promised: None,
                })
                .collect(),
        })
    });
    found.collect::<Result<_, _>>().map(Some)
}
