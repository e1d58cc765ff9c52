//! A snapshot that is being made.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{
    AddressSpace, Description, MEMORY, STATE, SaveError, SavedMemory, StateError, StateFile, save,
    state_file, verified,
};
use crate::memory::GuestMemory;

/// Why a snapshot can't be made.
#[derive(Debug, thiserror::Error)]
pub enum DraftError {
    /// The directory or a file can't be made or written.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// The machine's state is more than a snapshot takes.
    #[error(transparent)]
    State(#[from] StateError),
}

impl DraftError {
    /// What the user can do, if anything is known.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Save(error) => error.remedy(),
            Self::State(error) => error.remedy(),
        }
    }
}

/// A directory with the empty files of a snapshot. It has to be removed by whoever had it made
/// if it doesn't become one.
#[derive(Debug)]
pub struct Draft {
    files: DraftFiles,
}

/// The files of a draft: all that one who writes it needs, and who may have no paths.
#[derive(Debug)]
pub struct DraftFiles {
    /// Where they are, to be told.
    dir: PathBuf,
    state: File,
    memory: File,
}

impl Draft {
    /// Makes the directory `dir` and the files. The machine's memory may hold secrets of its
    /// user's, so they are for nobody else.
    ///
    /// # Errors
    ///
    /// When there is something at `dir`, or nothing can be made there.
    pub fn create(dir: &Path) -> Result<Self, DraftError> {
        DirBuilder::new()
            .mode(0o700)
            .create(dir)
            .map_err(SaveError::writing(dir))?;
        Self::within(dir)
    }

    /// Makes the files in the empty directory `dir`.
    pub(super) fn within(dir: &Path) -> Result<Self, DraftError> {
        let new = |name: &str| {
            let path = dir.join(name);
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .map_err(SaveError::writing(&path))
        };
        Ok(Self {
            files: DraftFiles {
                state: new(STATE)?,
                memory: new(MEMORY)?,
                dir: dir.to_owned(),
            },
        })
    }

    /// What is to be written.
    pub fn files(&self) -> &DraftFiles {
        &self.files
    }

    /// Returns when all of it is on the disk, so that it may be given its name.
    ///
    /// # Errors
    ///
    /// When it does not get there, for lack of room among others.
    pub fn sync(self) -> Result<(), DraftError> {
        let DraftFiles { dir, state, memory } = &self.files;
        // It only spares the first one to start from it a look at all of memory.
        if let Err(error) = remember(dir, memory) {
            tracing::debug!("{}: {error}", dir.display());
        }
        let sync = |file: &File, path: &Path| file.sync_all().map_err(SaveError::writing(path));
        sync(memory, &dir.join(MEMORY))?;
        sync(state, &dir.join(STATE))?;
        sync_dir(dir).map_err(SaveError::writing(dir))?;
        Ok(())
    }
}

/// Remembers that the memory file is the one that was written.
fn remember(dir: &Path, memory: &File) -> io::Result<()> {
    let state = StateFile::read(dir).map_err(io::Error::other)?;
    verified::remember(dir, &memory.metadata()?, &state.description().memory)
}

impl DraftFiles {
    /// Those of a draft in `dir`, each open for writing, as another process has made them.
    pub fn new(dir: PathBuf, state: OwnedFd, memory: OwnedFd) -> Self {
        Self {
            dir,
            state: state.into(),
            memory: memory.into(),
        }
    }

    /// Where they are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The state's and memory's, for another process.
    pub fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        [self.state.as_fd(), self.memory.as_fd()]
    }

    /// Writes memory, once. Nothing may write to it meanwhile: the processors have stopped, and
    /// the devices are quiet. Not on the disk yet.
    ///
    /// # Errors
    ///
    /// When there is no room, or it can't be written.
    pub fn write_memory(
        &self,
        memory: &GuestMemory,
        space: &AddressSpace,
    ) -> Result<SavedMemory, DraftError> {
        let path = self.dir.join(MEMORY);
        Ok(save::write(memory, space, &self.memory, &path)?)
    }

    /// Writes all else, once: `machine` is the state of processors and devices.
    ///
    /// # Errors
    ///
    /// When there is no room, it can't be written, or is longer than may be read.
    pub fn write_state(
        &self,
        description: &Description,
        machine: &impl Serialize,
    ) -> Result<(), DraftError> {
        let state = state_file::encode(description, machine)?;
        Ok((&self.state)
            .write_all(&state)
            .map_err(SaveError::writing(&self.dir.join(STATE)))?)
    }
}

/// Brings the names in a directory to the disk.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
