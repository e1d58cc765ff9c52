//! Images in files: what `docker save` writes, and OCI image layouts, each as a directory or in
//! a tar archive.

mod docker;
mod files;
mod oci;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use launch::Progress;

use super::blob_digest::BlobDigest;
use super::config::diff_ids;
use super::limits::{self, Budget, Limits};
use super::manifest::{MAX_DOCUMENT_BYTES, ManifestError};
use super::reference::Reference;
use super::stream::{self, Budgeted};
use super::{Intake, LayerBlob, Store, StoreError, TapeError, make_dir};
use files::{Files, Section};

/// Why there is no image to be had from a file.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It can't be read.
    #[error("can't read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is no archive, or a damaged one.
    #[error("can't read the archive")]
    Tape(#[from] TapeError),
    /// It holds something else.
    #[error(
        "there is no image in it: neither the manifest.json of docker save nor the index.json of an OCI layout"
    )]
    NoImage,
    /// Something that it must hold is missing.
    #[error("{0} is missing in it")]
    Missing(String),
    /// A file in it is larger than such a file can be.
    #[error("{0} in it has more than {MAX_DOCUMENT_BYTES} bytes")]
    TooLong(String),
    /// A document is not the one that was promised.
    #[error("{promised} in it is another file, {came}")]
    Digest {
        /// What it is to be.
        promised: Box<BlobDigest>,
        /// What it is.
        came: Box<BlobDigest>,
    },
    /// It is not well-formed.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// There are several, and none was chosen.
    #[error("there are {} images in it: {}", there.len(), there.join(", "))]
    Several {
        /// What there are.
        there: Vec<String>,
    },
    /// There is none of that name.
    #[error("there is no {wanted} in it; there is: {}", there.join(", "))]
    NotThere {
        /// What was chosen.
        wanted: String,
        /// What there is.
        there: Vec<String>,
    },
    /// The store failed, or the image can't be unpacked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ArchiveError {
    /// What the user can do about it.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Store(error) => error.remedy(),
            Self::Read { source, .. } => limits::remedy(source),
            Self::Several { .. } => Some("add the name of one, as in docker-archive:FILE:NAME"),
            _ => None,
        }
    }
}

impl From<ArchiveError> for launch::Error {
    fn from(error: ArchiveError) -> Self {
        let remedy = error.remedy();
        Self::remedied(error, remedy)
    }
}

/// An image that was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Its ID.
    pub id: BlobDigest,
    /// The names that it came with.
    pub names: Vec<Reference>,
}

/// Which image of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice<'a> {
    /// All that there are.
    All,
    /// The only one.
    Only,
    /// The one that goes by this name, or this tag, in it.
    Named(&'a str),
}

/// Whether images get the names that they come with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// They do.
    AsTheyCome,
    /// They are known by their IDs only.
    None,
}

/// What is to be taken out of a file, and how.
pub struct Loading<'a> {
    /// Which images.
    pub choice: Choice<'a>,
    /// By which names.
    pub naming: Naming,
    /// How large they may be.
    pub limits: Limits,
    /// Who is told how far it is.
    pub progress: &'a dyn Progress,
}

/// An image that was found, not yet read.
struct Found {
    /// What it goes by in the file.
    known_as: Vec<String>,
    names: Vec<Reference>,
    manifest: Option<BlobDigest>,
    config: Vec<u8>,
    /// The lowest first.
    layers: Vec<FoundLayer>,
}

struct FoundLayer {
    path: String,
    /// Digest and size, if the file promises any.
    promised: Option<(BlobDigest, u64)>,
}

impl Store {
    /// Loads images from an archive or a directory.
    ///
    /// # Errors
    ///
    /// When there is none in it, or it can't be added to the store.
    pub fn load(&self, path: &Path, how: &Loading<'_>) -> Result<Vec<Loaded>, ArchiveError> {
        let failed = |source| ArchiveError::Read {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.is_dir() {
            self.load_files(&Files::of_dir(file.into()), how)
        } else {
            self.load_stream(file, path, how)
        }
    }

    /// Loads images from an archive that can perhaps be read only once, such as standard input;
    /// `name` is what it is called in errors.
    ///
    /// # Errors
    ///
    /// When there is none in it, or it can't be added to the store.
    pub fn load_stream(
        &self,
        file: File,
        name: &Path,
        how: &Loading<'_>,
    ) -> Result<Vec<Loaded>, ArchiveError> {
        let failed = |source| ArchiveError::Read {
            path: name.to_owned(),
            source,
        };
        let plain = if files::can_be_read_anywhere(&file).map_err(failed)? {
            file
        } else {
            make_dir(&self.dir)?;
            how.progress.begin("reading the archive");
            let spooled = self.spool(file, how.limits);
            how.progress.end();
            spooled.map_err(failed)?
        };
        self.load_files(&Files::of_archive(plain)?, how)
    }

    /// The archive, uncompressed, in a file without a name.
    fn spool(&self, file: File, limits: Limits) -> io::Result<File> {
        let budget = Budget::new(limits);
        let mut reader = Budgeted::new(stream::decoder(file)?, &budget);
        let mut spool = tempfile::tempfile_in(&self.dir)?;
        io::copy(&mut reader, &mut spool)?;
        Ok(spool)
    }

    fn load_files(&self, files: &Files, how: &Loading<'_>) -> Result<Vec<Loaded>, ArchiveError> {
        // What docker writes today is both, and only the first has its names in full.
        let found = match docker::find(files)? {
            Some(found) => found,
            None => oci::find(files)?.ok_or(ArchiveError::NoImage)?,
        };
        chosen(found, how.choice)?
            .into_iter()
            .map(|found| self.load_one(files, found, how))
            .collect()
    }

    fn load_one(
        &self,
        files: &Files,
        found: Found,
        how: &Loading<'_>,
    ) -> Result<Loaded, ArchiveError> {
        let intake = Intake::new(how.limits, how.progress);
        let count = found.layers.len();
        let diff_ids = diff_ids(&found.config, count)?;
        let mut layers = Vec::new();
        for (index, (layer, diff_id)) in found.layers.iter().zip(diff_ids).enumerate() {
            let open = || {
                let Section { reader, size } = files.must_have(&layer.path)?;
                let blob = LayerBlob {
                    digest: layer.promised.map(|(digest, _)| digest),
                    size: layer.promised.map_or(size, |(_, size)| size),
                    diff_id,
                };
                Ok::<_, ArchiveError>((blob, reader))
            };
            let what = format!("unpacking layer {} of {count}", index + 1);
            layers.push(self.find_or_add_layer(diff_id, &what, &intake, open)?);
        }
        let names = match how.naming {
            Naming::AsTheyCome => found.names,
            Naming::None => Vec::new(),
        };
        let add = |name| self.add_image(name, found.manifest, &found.config, &layers);
        let id = add(names.first())?;
        for name in names.iter().skip(1) {
            add(Some(name))?;
        }
        Ok(Loaded { id, names })
    }
}

fn chosen(found: Vec<Found>, choice: Choice<'_>) -> Result<Vec<Found>, ArchiveError> {
    let there = |found: &[Found]| {
        let known = found.iter().map(|it| match it.known_as.first() {
            Some(name) => name.clone(),
            None => "one without a name".to_owned(),
        });
        // Enough to choose from, in one line.
        known.take(8).collect::<Vec<_>>()
    };
    match choice {
        Choice::All if found.is_empty() => Err(ArchiveError::NoImage),
        Choice::All => Ok(found),
        Choice::Only => match found.len() {
            0 => Err(ArchiveError::NoImage),
            1 => Ok(found),
            _ => Err(ArchiveError::Several {
                there: there(&found),
            }),
        },
        Choice::Named(wanted) => {
            let reference: Option<Reference> = wanted.parse().ok();
            let is_it = |it: &Found| {
                it.known_as.iter().any(|name| name == wanted)
                    || reference
                        .as_ref()
                        .is_some_and(|it_is| it.names.contains(it_is))
            };
            match found.iter().position(is_it) {
                Some(at) => Ok(found.into_iter().skip(at).take(1).collect()),
                None => Err(ArchiveError::NotThere {
                    wanted: wanted.to_owned(),
                    there: there(&found),
                }),
            }
        }
    }
}

/// All of a document, if it is no longer than documents are.
fn read_document(path: &str, section: Section<'_>) -> Result<Vec<u8>, ArchiveError> {
    let mut bytes = Vec::new();
    let read = section
        .reader
        .take(MAX_DOCUMENT_BYTES + 1)
        .read_to_end(&mut bytes);
    read.map_err(|source| ArchiveError::Read {
        path: path.into(),
        source,
    })?;
    if bytes.len() as u64 > MAX_DOCUMENT_BYTES {
        return Err(ArchiveError::TooLong(path.to_owned()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
