use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use guest_images::{Cache, CacheError, Shelf, initramfs_digest};
use launch::Chain;

use crate::launcher::blueprint::VERSION;
use crate::ring0::Ring0;
use crate::snapshot::{CpuIdentity, Description, StateFile};

/// A template in a cache, as a user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its name: a digest, in hexadecimal.
    pub name: String,
    /// What it takes on the disk, in bytes.
    pub disk_bytes: u64,
    /// Whether it can be used.
    pub state: TemplateState,
}

/// Whether a template can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateState {
    /// By this jaula, on this host.
    Current(TemplateFacts),
    /// By another jaula or on another host: it is never used here, and goes when another one is
    /// made.
    Stale(TemplateFacts),
    /// By nobody, and why, in one line.
    Unusable(String),
}

/// What a template says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateFacts {
    /// Size of its memory.
    pub memory_bytes: u64,
    /// Number of its processors: any number.
    pub vcpus: u32,
    /// Digest of its kernel.
    pub kernel: launch::Digest,
    /// When it was made, in seconds since the epoch: any number.
    pub made_unix_seconds: u64,
}

/// A template can't be removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// There is none of this name.
    #[error("there is no template {0:?}")]
    Unknown(String),
    /// Its directory can't be removed.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// The templates of a cache.
pub struct Templates<'a>(pub &'a Cache);

impl Templates<'_> {
    /// All of them, the newest first. `ring0` is this host's; where it is not known, a template is
    /// judged by all else.
    pub fn list(&self, ring0: Option<Ring0>) -> Vec<Template> {
        let dirs = self.0.entries(Shelf::Templates);
        dirs.iter().map(|dir| look_at(dir, ring0)).collect()
    }

    /// Removes one. Machines that run on its memory go on.
    ///
    /// # Errors
    ///
    /// When it is not there, or can't be removed.
    pub fn remove(&self, name: &str) -> Result<(), RemoveError> {
        // Not just any path that can be joined to the shelf's.
        if !self.names().any(|known| known == name) {
            return Err(RemoveError::Unknown(name.to_owned()));
        }
        Ok(self.0.forget(Shelf::Templates, name)?)
    }

    fn names(&self) -> impl Iterator<Item = OsString> {
        let dirs = self.0.entries(Shelf::Templates).into_iter();
        dirs.filter_map(|dir| dir.file_name().map(ToOwned::to_owned))
    }
}

fn look_at(dir: &Path, ring0: Option<Ring0>) -> Template {
    let name = dir.file_name().unwrap_or_default();
    Template {
        name: name.to_string_lossy().into_owned(),
        disk_bytes: disk_bytes(dir),
        state: match StateFile::read(dir) {
            Ok(file) => {
                let description = file.description();
                let facts = TemplateFacts {
                    memory_bytes: description.memory.bytes(),
                    vcpus: description.machine.vcpus,
                    kernel: description.machine.kernel.clone(),
                    made_unix_seconds: description.machine.saved_at_unix_seconds,
                };
                if is_current(description, ring0) {
                    TemplateState::Current(facts)
                } else {
                    TemplateState::Stale(facts)
                }
            }
            Err(error) => TemplateState::Unusable(Chain(&error).to_string()),
        },
    }
}

/// Whether some launch of this jaula on this host could look for it: with which kernel and what
/// parameters is the launch's affair.
fn is_current(description: &Description, ring0: Option<Ring0>) -> bool {
    description.host.cpu == CpuIdentity::of_host()
        && ring0.is_none_or(|ring0| description.host.ring0 == ring0.into())
        && description.machine.init == initramfs_digest()
        && description.machine.jaula_version == VERSION
}

fn disk_bytes(dir: &Path) -> u64 {
    /// What `stat(2)` counts in.
    const BLOCK_BYTES: u64 = 512;
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let blocks = entries.filter_map(|entry| Some(entry.metadata().ok()?.blocks()));
    blocks.map(|blocks| blocks * BLOCK_BYTES).sum()
}

/// Removes what no launch of this jaula on this host will ever look for.
pub(super) fn clear_stale(cache: &Cache, ring0: Ring0) {
    let templates = Templates(cache);
    for template in templates.list(Some(ring0)) {
        if !matches!(template.state, TemplateState::Current(_))
            && let Err(error) = templates.remove(&template.name)
        {
            tracing::warn!("a stale template stays: {}", Chain(&error));
        }
    }
}
