//! Which image: a built-in one by name, or a directory of the user's.

mod busybox;

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use launch::{Progress, RootFs};

use crate::cache::Cache;
use crate::digest::{self, DigestError};
pub use busybox::BusyboxError;

/// An image's name that nothing is known by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no image {0:?}; there are: busybox, and any directory with --rootfs DIR")]
pub struct UnknownImage(String);

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
    /// The built-in image can't be made.
    #[error(transparent)]
    Busybox(#[from] BusyboxError),
    /// The image can't be read.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl ImageError {
    /// What the user can do about it.
    pub fn remedy(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Busybox(error) => error.remedy(),
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
    /// A directory of the user's that is a root file system.
    Directory(PathBuf),
}

/// Reads the name of a built-in image.
impl FromStr for ImageRef {
    type Err = UnknownImage;

    fn from_str(name: &str) -> Result<Self, UnknownImage> {
        match name {
            "busybox" => Ok(Self::Busybox),
            _ => Err(UnknownImage(name.to_owned())),
        }
    }
}

impl ImageRef {
    /// What runs when no command is given; empty if the image doesn't say.
    pub fn default_command(&self) -> &'static [&'static str] {
        match self {
            Self::Busybox => &["sh"],
            Self::Directory(_) => &[],
        }
    }

    /// The unpacked image, made if it is a built-in one and not there yet.
    ///
    /// # Errors
    ///
    /// When it is not there, can't be read to its last file, or can't be made.
    pub fn resolve(
        &self,
        read_only: bool,
        cache: &Cache,
        progress: &dyn Progress,
    ) -> Result<RootFs, ImageError> {
        let (dir, digest) = match self {
            Self::Busybox => busybox::root(cache, progress)?,
            Self::Directory(path) => {
                let dir = path
                    .canonicalize()
                    .map_err(|source| ImageError::Directory {
                        path: path.clone(),
                        source,
                    })?;
                let digest = digest::digest_of(&dir, cache, progress)?.digest;
                (dir, digest)
            }
        };
        Ok(RootFs {
            layers: dir.into(),
            digest,
            read_only,
        })
    }
}

#[cfg(test)]
mod tests {
    use launch::NoProgress;
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn an_unknown_image_is_an_error_that_says_what_there_is() {
        let error = "debian".parse::<ImageRef>().unwrap_err().to_string();
        assert!(
            error.contains("\"debian\"") && error.contains("busybox"),
            "{error}"
        );
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let dir = TempDir::new().unwrap();
        let cache = Cache::new(dir.path().join("cache"), []);
        let image = ImageRef::Directory(dir.path().join("missing"));
        let error = image.resolve(false, &cache, &NoProgress).unwrap_err();
        assert!(error.to_string().ends_with("/missing"), "{error}");
    }

    #[test]
    fn a_file_is_no_root_directory() {
        let dir = TempDir::new().unwrap();
        let cache = Cache::new(dir.path().join("cache"), []);
        std::fs::write(dir.path().join("file"), "").unwrap();
        let image = ImageRef::Directory(dir.path().join("file"));
        assert!(image.resolve(false, &cache, &NoProgress).is_err());
    }
}
