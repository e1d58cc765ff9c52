//! Which image: a built-in one, one of the store or of a file, or a directory of the user's.

mod busybox;
mod elf;
mod made;
mod probe;
mod program;
mod tree;

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use launch::{Digest, Layers, Progress, RootFs};

use crate::cache::Cache;
use crate::digest::{self, DigestError};
use crate::store::{
    ArchiveError, BlobDigest, Choice, ImageConfig, InvalidReference, Limits, Loading, Naming,
    Reference, Store, StoreError, StoredImage,
};
pub use busybox::BusyboxError;
pub use probe::ProbeError;
pub use program::ProgramError;
pub use tree::FileError;

/// What names no image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidImage {
    /// It looks like a name and is none.
    #[error(transparent)]
    Reference(#[from] InvalidReference),
    /// Something must come after the colon.
    #[error("{0:?} names no file")]
    NoFile(String),
}

/// Why an image can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The directory is not there, or can't be entered.
    #[error("can't use the root directory {}", path.display())]
    Directory {
        /// As it was given.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The built-in image `busybox` can't be made.
    #[error(transparent)]
    Busybox(#[from] BusyboxError),
    /// The built-in image `probe` can't be made.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// There is no image of a program.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The image can't be read.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// The store has none of that name.
    #[error("there is no image {0} here")]
    NotHere(String),
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is nothing in it, as in docker's `scratch`.
    #[error("the image {0} has no layers")]
    NoLayers(BlobDigest),
    /// The file can't be loaded.
    #[error("can't load {what}")]
    Load {
        /// What was to be loaded.
        what: String,
        /// Why not.
        source: ArchiveError,
    },
}

impl ImageError {
    /// What the user can do about it.
    pub fn remedy(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Busybox(error) => error.remedy(),
            Self::Program(error) => error.remedy(),
            Self::NotHere(_) => Some(
                "see jaula images; there are also busybox, probe, program:NAME, files for jaula load, and --rootfs DIR"
                    .into(),
            ),
            Self::Store(error) => error.remedy().map(Into::into),
            Self::Load { source, .. } => source.remedy().map(Into::into),
            _ => None,
        }
    }
}

impl From<ImageError> for launch::Error {
    fn from(error: ImageError) -> Self {
        let remedy = error.remedy();
        Self::remedied(error, remedy)
    }
}

/// An image as the user asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageRef {
    /// The built-in image `busybox`.
    Busybox,
    /// The built-in image `probe`.
    Probe,
    /// A program of this machine with the libraries that it needs, by its name or path.
    Program(OsString),
    /// A directory of the user's that is a root file system.
    Directory(PathBuf),
    /// One of the store, by its name.
    Name(Reference),
    /// One of the store, by its ID.
    Id(BlobDigest),
    /// One in an archive that `docker save` wrote, or in an OCI layout.
    File {
        /// The archive, or the layout's directory.
        path: PathBuf,
        /// Its name or tag in there, needed if there are several.
        name: Option<String>,
    },
    /// The one in an archive on standard input.
    Stdin,
}

/// Reads what `jaula run` takes for an image: `busybox`, `probe`, `program:NAME`, a path that begins with `/`, `./`
/// or `../`, `docker-archive:FILE[:NAME]`, `oci:DIR[:TAG]`, `-`, an image's ID, and what docker takes
/// for a name.
impl TryFrom<&OsStr> for ImageRef {
    type Error = InvalidImage;

    fn try_from(text: &OsStr) -> Result<Self, InvalidImage> {
        let bytes = text.as_bytes();
        match bytes {
            b"busybox" => return Ok(Self::Busybox),
            b"probe" => return Ok(Self::Probe),
            b"-" => return Ok(Self::Stdin),
            b"." | b".." => return Ok(Self::Directory(text.into())),
            _ => {}
        }
        if [&b"/"[..], b"./", b"../"]
            .iter()
            .any(|start| bytes.starts_with(start))
        {
            return Ok(Self::Directory(text.into()));
        }
        if let Some(program) = bytes.strip_prefix(b"program:") {
            if program.is_empty() {
                return Err(InvalidImage::NoFile(lossy(text)));
            }
            return Ok(Self::Program(OsStr::from_bytes(program).to_owned()));
        }
        for kind in [&b"docker-archive:"[..], b"oci:"] {
            if let Some(rest) = bytes.strip_prefix(kind) {
                return file(rest).ok_or_else(|| InvalidImage::NoFile(lossy(text)));
            }
        }
        let text = lossy(text);
        let id = text.parse().ok().or_else(|| BlobDigest::from_hex(&text));
        match id {
            Some(id) => Ok(Self::Id(id)),
            None => Ok(Self::Name(text.parse()?)),
        }
    }
}

impl FromStr for ImageRef {
    type Err = InvalidImage;

    fn from_str(text: &str) -> Result<Self, InvalidImage> {
        OsStr::new(text).try_into()
    }
}

/// `FILE[:NAME]`, where no file has a colon in its name, as in podman.
fn file(text: &[u8]) -> Option<ImageRef> {
    let (path, name) = match text.iter().position(|byte| *byte == b':') {
        Some(colon) => (&text[..colon], Some(&text[colon + 1..])),
        None => (text, None),
    };
    (!path.is_empty()).then(|| ImageRef::File {
        path: OsStr::from_bytes(path).into(),
        name: name.map(|name| String::from_utf8_lossy(name).into_owned()),
    })
}

fn lossy(text: &OsStr) -> String {
    text.to_string_lossy().into_owned()
}

/// By its name, or by the beginning of an ID, which may look like one.
fn find(name: &Reference, store: &Store) -> Result<Option<StoredImage>, StoreError> {
    match store.find(name)? {
        None => store.find_by_beginning(&name.familiar_name()),
        found => Ok(found),
    }
}

/// Where images are found and made.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// For built-in images, and for what is known of directories.
    pub cache: &'a Cache,
    /// For all others.
    pub store: &'a Store,
    /// How large one may be that is unpacked.
    pub limits: Limits,
}

impl<'a> Sources<'a> {
    /// With the usual limits.
    pub fn new(cache: &'a Cache, store: &'a Store) -> Self {
        Self {
            cache,
            store,
            limits: Limits::default(),
        }
    }
}

/// An image that can be run. One of the store can't be removed while this is held.
#[derive(Debug)]
pub struct Image {
    layers: Layers,
    digest: Digest,
    /// What it says of how to run it.
    pub config: ImageConfig,
    _held: Option<StoredImage>,
}

impl Image {
    /// Its root file system.
    pub fn root(&self, read_only: bool) -> RootFs {
        RootFs {
            layers: self.layers.clone(),
            digest: self.digest.clone(),
            read_only,
        }
    }
}

impl ImageRef {
    /// Whether all that it holds is a part of jaula or a program of this machine.
    pub fn is_of_this_machine(&self) -> bool {
        match self {
            Self::Busybox | Self::Probe | Self::Program(_) => true,
            Self::Directory(_) | Self::Name(_) | Self::Id(_) | Self::File { .. } | Self::Stdin => {
                false
            }
        }
    }

    /// Whether it can be told without looking at it that it has no command.
    pub fn has_no_command(&self) -> bool {
        matches!(self, Self::Directory(_))
    }

    /// The name to be pulled, if it is one and the store has no such image.
    ///
    /// # Errors
    ///
    /// When the store can't be read.
    pub fn missing(&self, store: &Store) -> Result<Option<&Reference>, StoreError> {
        match self {
            Self::Name(name) => Ok(find(name, store)?.is_none().then_some(name)),
            _ => Ok(None),
        }
    }

    /// The image, unpacked if it is not yet.
    ///
    /// # Errors
    ///
    /// When it is not there, can't be read to its last file, or can't be made.
    pub fn resolve(
        &self,
        sources: Sources<'_>,
        progress: &dyn Progress,
    ) -> Result<Image, ImageError> {
        let Sources {
            cache,
            store,
            limits,
        } = sources;
        let loading = |choice| Loading {
            choice,
            naming: Naming::None,
            limits,
            progress,
        };
        match self {
            Self::Busybox => {
                let (dir, digest) = busybox::root(cache, progress)?;
                let config = ImageConfig {
                    cmd: vec!["sh".into()],
                    ..ImageConfig::default()
                };
                Ok(in_directory(dir, digest, config))
            }
            Self::Probe => {
                let (dir, digest) = probe::root(cache, progress)?;
                let config = ImageConfig {
                    entrypoint: vec![probe::PROGRAM.into()],
                    cmd: vec!["startup".into()],
                    ..ImageConfig::default()
                };
                Ok(in_directory(dir, digest, config))
            }
            Self::Program(name) => {
                let (dir, digest, program) = program::root(name, cache, progress)?;
                let config = ImageConfig {
                    entrypoint: vec![program.to_string_lossy().into_owned()],
                    ..ImageConfig::default()
                };
                Ok(in_directory(dir, digest, config))
            }
            Self::Directory(path) => {
                let dir = path
                    .canonicalize()
                    .map_err(|source| ImageError::Directory {
                        path: path.clone(),
                        source,
                    })?;
                let digest = digest::digest_of(&dir, cache, progress)?.digest;
                Ok(in_directory(dir, digest, ImageConfig::default()))
            }
            Self::Name(name) => {
                stored(find(name, store)?.ok_or_else(|| ImageError::NotHere(name.to_string()))?)
            }
            Self::Id(id) => {
                let found = store.find_by_id(*id)?;
                stored(found.ok_or_else(|| ImageError::NotHere(id.to_string()))?)
            }
            Self::File { path, name } => {
                let choice = name.as_deref().map_or(Choice::Only, Choice::Named);
                only(store, store.load(path, &loading(choice)), path)
            }
            Self::Stdin => {
                let name = Path::new("standard input");
                let stdin = io::stdin().as_fd().try_clone_to_owned().map(File::from);
                let stdin = stdin.map_err(|source| ImageError::Load {
                    what: name.display().to_string(),
                    source: ArchiveError::Read {
                        path: name.to_owned(),
                        source,
                    },
                })?;
                let loaded = store.load_stream(stdin, name, &loading(Choice::Only));
                only(store, loaded, name)
            }
        }
    }
}

fn in_directory(dir: PathBuf, digest: Digest, config: ImageConfig) -> Image {
    Image {
        layers: dir.into(),
        digest,
        config,
        _held: None,
    }
}

fn only(
    store: &Store,
    loaded: Result<Vec<crate::store::Loaded>, ArchiveError>,
    path: &Path,
) -> Result<Image, ImageError> {
    let failed = |source| ImageError::Load {
        what: path.display().to_string(),
        source,
    };
    let loaded = loaded.map_err(failed)?;
    let id = loaded
        .first()
        .ok_or(ArchiveError::NoImage)
        .map_err(failed)?
        .id;
    let found = store.find_by_id(id)?;
    stored(found.ok_or_else(|| ImageError::NotHere(id.to_string()))?)
}

fn stored(image: StoredImage) -> Result<Image, ImageError> {
    let mut layers = image.layers.iter().cloned();
    let Some(top) = layers.next() else {
        return Err(ImageError::NoLayers(image.id));
    };
    Ok(Image {
        layers: Layers::new(top, layers.collect()),
        digest: image.digest.clone(),
        config: image.config.clone(),
        _held: Some(image),
    })
}

#[cfg(test)]
mod tests {
    use launch::NoProgress;
    use tempfile::TempDir;

    use super::*;

    fn resolve(image: &ImageRef, dir: &TempDir) -> Result<Image, ImageError> {
        let cache = Cache::new(dir.path().join("cache"), []);
        let store = Store::new(dir.path().join("images"));
        image.resolve(Sources::new(&cache, &store), &NoProgress)
    }

    #[test]
    fn what_is_typed_says_what_kind_of_image_it_is() {
        let directory = |path: &str| ImageRef::Directory(path.into());
        let file = |path: &str, name: Option<&str>| ImageRef::File {
            path: path.into(),
            name: name.map(str::to_owned),
        };
        let name = |name: &str| ImageRef::Name(name.parse().unwrap());
        let id = BlobDigest::of(b"");
        for (text, expected) in [
            ("busybox", ImageRef::Busybox),
            ("probe", ImageRef::Probe),
            ("probe:latest", name("docker.io/library/probe:latest")),
            ("busybox:latest", name("docker.io/library/busybox:latest")),
            ("program:ls", ImageRef::Program("ls".into())),
            ("program:/bin/ls", ImageRef::Program("/bin/ls".into())),
            ("-", ImageRef::Stdin),
            ("/", directory("/")),
            (".", directory(".")),
            ("./a:b", directory("./a:b")),
            ("../a", directory("../a")),
            ("docker-archive:a.tar", file("a.tar", None)),
            ("docker-archive:/a.tar:b:c", file("/a.tar", Some("b:c"))),
            ("oci:a", file("a", None)),
            ("oci:a:b", file("a", Some("b"))),
            ("localhost:5000/a", name("localhost:5000/a")),
            (&id.hex(), ImageRef::Id(id)),
            (&id.to_string(), ImageRef::Id(id)),
        ] as [(&str, ImageRef); 18]
        {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in ["", "oci:", "program:", "docker-archive::a", "A", "a b"] {
            assert!(text.parse::<ImageRef>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_image_that_is_not_there_is_named() {
        let dir = TempDir::new().unwrap();
        let error = resolve(&"debian:13".parse().unwrap(), &dir).unwrap_err();
        assert_eq!(error.to_string(), "there is no image debian:13 here");
        assert!(
            !dir.path().join("images").exists(),
            "looking made something"
        );
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let dir = TempDir::new().unwrap();
        let image = ImageRef::Directory(dir.path().join("missing"));
        let error = resolve(&image, &dir).unwrap_err();
        assert!(error.to_string().ends_with("/missing"), "{error}");
    }

    #[test]
    fn a_file_is_no_root_directory() {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        let image = ImageRef::Directory(dir.path().join("file"));
        assert!(resolve(&image, &dir).is_err());
    }
}
