//! The guest's kernel: found in a cache, or built by the recipe in `guest-images/kernel/` from
//! Debian's kernel source.

mod build;
mod fragment;
mod inputs;
mod recipe;

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use launch::{Digest, Progress};
use sha2::{Digest as _, Sha256};

use crate::cache::{Cache, CacheError, Shelf};
use crate::debian_tool::ToolError;
use inputs::{INPUTS, Inputs, SOURCE, SOURCE_PACKAGE};
pub use recipe::Processors;

/// Why there is no kernel.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// Debian's kernel source is not there.
    #[error("the guest kernel is built from {SOURCE}, which is not there")]
    NoSource,
    /// Programs or headers that the build needs are not there.
    #[error("building the guest kernel needs {}", .names.join(", "))]
    Missing {
        /// What is missing.
        names: Vec<&'static str>,
        /// The Debian packages that hold them.
        packages: Vec<&'static str>,
    },
    /// A step of the build failed.
    #[error("building the guest kernel failed")]
    Build(#[from] ToolError),
    /// The source does not have an option as the recipe wants it.
    #[error("the kernel source does not take {0:?} of the recipe")]
    Option(String),
    /// There is no room for it.
    #[error("no room in {} for building the guest kernel", .0.display())]
    Full(PathBuf),
    /// A file can't be read or written.
    #[error("can't {action} {}", path.display())]
    Io {
        /// In a word.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl KernelError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// What the user can do about it.
    pub fn remedy(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::NoSource => Some(crate::debian_tool::install(SOURCE_PACKAGE)),
            Self::Missing { packages, .. } => {
                Some(crate::debian_tool::install(&packages.join(" ")))
            }
            Self::Build(error) => error.remedy(),
            Self::Full(_) => Some("free 1 GiB there, or set JAULA_CACHE_DIR".into()),
            _ => None,
        }
    }
}

impl From<KernelError> for launch::Error {
    fn from(error: KernelError) -> Self {
        let remedy = error.remedy();
        Self::remedied(error, remedy)
    }
}

/// A guest kernel in a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    dir: PathBuf,
}

impl Kernel {
    /// The kernel that [`Kernel::find_or_build`] would give without building: the one made from
    /// this recipe, this machine's source and its compiler. A machine that has no source or no
    /// compiler can't tell, and takes any that was made from this recipe.
    ///
    /// # Errors
    ///
    /// When source or compiler are there but can't be read.
    pub fn find(cache: &Cache, processors: Processors) -> Result<Option<Self>, KernelError> {
        let dir = match Inputs::of_this_machine(processors)? {
            Some(inputs) => cache.find_anywhere(Shelf::Kernels, inputs.name().as_str()),
            None => cache
                .entries_anywhere(Shelf::Kernels)
                .into_iter()
                .find(|dir| inputs::are_of_this_recipe(&dir.join(INPUTS), processors)),
        };
        Ok(dir.map(|dir| Self { dir }))
    }

    /// The kernel, built if no cache has it, which takes minutes and 1 GiB of disk meanwhile. Two
    /// processes that want it at once build it once.
    ///
    /// # Errors
    ///
    /// When it is not there and can't be built.
    pub fn find_or_build(
        cache: &Cache,
        processors: Processors,
        progress: &dyn Progress,
    ) -> Result<Self, KernelError> {
        if let Some(found) = Self::find(cache, processors)? {
            return Ok(found);
        }
        build::check_needed()?;
        let inputs = Inputs::of_this_machine(processors)?.ok_or(KernelError::NoSource)?;
        let name = inputs.name();
        let dir = cache.get_or_make(Shelf::Kernels, name.as_str(), progress, |dir| {
            build::build(&inputs, dir, progress)
        })?;
        Ok(Self { dir })
    }

    /// Of all that it was made from, which decides every byte of it.
    ///
    /// # Errors
    ///
    /// When what it was made from can't be read.
    pub fn digest(&self) -> Result<Digest, KernelError> {
        let path = self.dir.join(INPUTS);
        let inputs = fs::read(&path).map_err(KernelError::io("read", &path))?;
        Ok(Digest::from_bytes(&Sha256::digest(inputs)))
    }

    /// The kernel as an ELF file, without symbols.
    pub fn vmlinux(&self) -> PathBuf {
        self.dir.join("vmlinux")
    }

    /// Its symbols and their addresses.
    pub fn system_map(&self) -> PathBuf {
        self.dir.join("System.map")
    }

    /// Its whole configuration.
    pub fn config(&self) -> PathBuf {
        self.dir.join("config")
    }
}
