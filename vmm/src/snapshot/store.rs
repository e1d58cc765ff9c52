//! The snapshots that users made and named.
//!
//! A directory with one for each name. One that is being made has another name, under its maker's
//! lock ([`host::locked`]).

use std::fmt;
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use host::locked::{Attempt, Locked};
use launch::{InstanceId, InvalidName};

use super::draft::sync_dir;
use super::{Draft, DraftError, DraftFiles, SaveError, StateError, StateFile};

/// How the name of what is no snapshot (yet, or any more) begins: no name of one does.
const UNFINISHED: &str = ".unfinished-";

/// Why a snapshot can't be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The name is taken.
    #[error("there is a snapshot {0} already")]
    Exists(SnapshotName),
    /// The name is not known.
    #[error("there is no snapshot {0}")]
    Unknown(SnapshotName),
    /// It is there, and can't be used.
    #[error("snapshot {name} can't be used")]
    Unusable {
        /// Its name.
        name: SnapshotName,
        /// Why.
        source: StateError,
    },
    /// It can't be made.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// The directory, or something in it.
    #[error("can't {action} {path}", path = path.display())]
    Dir {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl StoreError {
    fn because(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Dir {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// What the user can do, if anything is known.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Exists(_) => Some("remove it first, or choose another name"),
            Self::Unknown(_) => Some("see jaula snapshot ls"),
            Self::Unusable { source, .. } => source.remedy(),
            Self::Draft(error) => error.remedy(),
            Self::Dir { .. } => None,
        }
    }
}

/// The name of a snapshot: what may be an instance's name may be one's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotName(InstanceId);

impl FromStr for SnapshotName {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, InvalidName> {
        name.parse().map(Self)
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A directory of snapshots.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
}

impl Store {
    /// The one in `dir`, which is made when the first snapshot is.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The names of all snapshots, in order, whether they can be used or not.
    ///
    /// # Errors
    ///
    /// When the directory can't be read.
    pub fn list(&self) -> Result<Vec<SnapshotName>, StoreError> {
        let names = self.file_names()?;
        let mut names: Vec<_> = names.iter().filter_map(|name| name.parse().ok()).collect();
        names.sort();
        Ok(names)
    }

    /// The directory of a snapshot.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unknown`].
    pub fn find(&self, name: &SnapshotName) -> Result<PathBuf, StoreError> {
        let path = self.path(name);
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => Ok(path),
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(StoreError::because("find", &path)(error))
            }
            _ => Err(StoreError::Unknown(name.clone())),
        }
    }

    /// A snapshot's state, and what it says of itself. Its memory is not looked at.
    ///
    /// # Errors
    ///
    /// When there is no such snapshot, or this jaula can't use it.
    pub fn inspect(&self, name: &SnapshotName) -> Result<StateFile, StoreError> {
        StateFile::read(&self.find(name)?).map_err(|source| StoreError::Unusable {
            name: name.clone(),
            source,
        })
    }

    /// Removes a snapshot. Machines that run on its memory go on.
    ///
    /// # Errors
    ///
    /// When there is no such snapshot, or it can't be removed.
    pub fn remove(&self, name: &SnapshotName) -> Result<(), StoreError> {
        let path = self.find(name)?;
        let doomed = self.unfinished(name)?;
        // Half of it must not have its name.
        fs::rename(&path, doomed.0.path()).map_err(StoreError::because("remove", &path))?;
        remove(doomed.0.path()).map_err(StoreError::because("remove", doomed.0.path()))
    }

    /// Begins a snapshot.
    ///
    /// # Errors
    ///
    /// When the name is taken, or nothing can be written.
    pub fn begin(&self, name: &SnapshotName) -> Result<Unfinished, StoreError> {
        if self.find(name).is_ok() {
            return Err(StoreError::Exists(name.clone()));
        }
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)
            .map_err(StoreError::because("make", &self.dir))?;
        let place = self.unfinished(name)?;
        let draft = Draft::within(place.0.path())?;
        Ok(Unfinished {
            target: self.path(name),
            name: name.clone(),
            draft,
            place,
        })
    }

    /// Removes what makers that were killed left. What is being made now stays.
    ///
    /// # Errors
    ///
    /// When it can't be removed.
    pub fn sweep(&self) -> Result<(), StoreError> {
        for name in self.file_names()? {
            if !name.starts_with(UNFINISHED) {
                continue;
            }
            let path = self.dir.join(name);
            let attempt =
                Locked::try_exclusive(&path).map_err(StoreError::because("lock", &path))?;
            if let Attempt::Locked(_lock) = attempt {
                remove(&path).map_err(StoreError::because("remove", &path))?;
            }
        }
        Ok(())
    }

    fn path(&self, name: &SnapshotName) -> PathBuf {
        self.dir.join(name.0.as_str())
    }

    fn file_names(&self) -> Result<Vec<String>, StoreError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(vec![]),
            Err(error) => return Err(StoreError::because("read", &self.dir)(error)),
        };
        let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
        let names: io::Result<Vec<_>> = names.collect();
        let names = names.map_err(StoreError::because("read", &self.dir))?;
        Ok(names.into_iter().flatten().collect())
    }

    /// Makes an empty directory of a name that none has, under a lock.
    fn unfinished(&self, name: &SnapshotName) -> Result<Place, StoreError> {
        loop {
            let path = tempfile::Builder::new()
                .prefix(&format!("{UNFINISHED}{name}-"))
                .tempdir_in(&self.dir)
                .map_err(|error| SaveError::writing(&self.dir.join(name.0.as_str()))(error))
                .map_err(DraftError::from)?
                .keep();
            let attempt =
                Locked::try_exclusive(&path).map_err(StoreError::because("lock", &path))?;
            // Another's sweep may have come between the making and the locking.
            if let Attempt::Locked(lock) = attempt {
                return Ok(Place(lock));
            }
        }
    }
}

/// A snapshot in the making. Dropped unfinished, it is gone.
#[derive(Debug)]
pub struct Unfinished {
    name: SnapshotName,
    target: PathBuf,
    draft: Draft,
    place: Place,
}

impl Unfinished {
    /// What is to be written.
    pub fn files(&self) -> &DraftFiles {
        self.draft.files()
    }

    /// Gives it its name, once it is on the disk. Returns its directory.
    ///
    /// # Errors
    ///
    /// When the name was taken meanwhile, or it can't be brought to the disk.
    pub fn finish(self) -> Result<PathBuf, StoreError> {
        self.draft.sync()?;
        match fs::rename(self.place.0.path(), &self.target) {
            Ok(()) => {}
            // A directory that is not empty is not replaced: rename(2).
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::DirectoryNotEmpty
                        | ErrorKind::AlreadyExists
                        | ErrorKind::NotADirectory
                ) =>
            {
                return Err(StoreError::Exists(self.name));
            }
            Err(error) => return Err(StoreError::because("make", &self.target)(error)),
        }
        let parent = self.target.parent().unwrap_or(Path::new("/"));
        sync_dir(parent).map_err(StoreError::because("sync", parent))?;
        Ok(self.target)
    }
}

/// A directory to make something in, which is removed if it still has its name at the end.
#[derive(Debug)]
struct Place(Locked);

impl Drop for Place {
    fn drop(&mut self) {
        // What can't be removed now is left to a sweep.
        if let Err(error) = remove(self.0.path()) {
            tracing::debug!("{}: {error}", self.0.path().display());
        }
    }
}

/// Removes a directory, which may be gone.
fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use tempfile::TempDir;

    use super::*;
    use crate::memory;
    use crate::snapshot::{AddressSpace, STATE, sample};

    fn store() -> (TempDir, Store) {
        let dir = TempDir::new().unwrap();
        let store = Store::new(dir.path().join("snapshots"));
        (dir, store)
    }

    fn name(name: &str) -> SnapshotName {
        name.parse().unwrap()
    }

    fn written(store: &Store, of: &str) -> Unfinished {
        let unfinished = store.begin(&name(of)).unwrap();
        let memory = memory::allocate(1 << 20).unwrap();
        let saved = unfinished
            .files()
            .write_memory(&memory, &AddressSpace::of_process().unwrap())
            .unwrap();
        let description = sample::description(saved);
        unfinished.files().write_state(&description, &()).unwrap();
        unfinished
    }

    fn files(store: &Store) -> usize {
        fs::read_dir(&store.dir).unwrap().count()
    }

    #[test]
    fn finished_snapshots_are_listed_in_order_and_can_be_inspected() {
        let (_dir, store) = store();
        for of in ["b", "a"] {
            let dir = written(&store, of).finish().unwrap();
            assert_eq!(dir, store.find(&name(of)).unwrap());
        }
        assert_eq!(store.list().unwrap(), [name("a"), name("b")]);
        let state = store.inspect(&name("a")).unwrap();
        assert_eq!(state.description().machine.label, "a shell");
    }

    #[test]
    fn a_store_that_was_never_used_is_empty_and_stays_away() {
        let (_dir, store) = store();
        assert_eq!(store.list().unwrap(), []);
        store.sweep().unwrap();
        let error = store.inspect(&name("a")).unwrap_err();
        assert!(matches!(error, StoreError::Unknown(_)), "{error}");
        assert!(!store.dir.exists());
    }

    #[test]
    fn what_is_not_finished_is_not_listed_and_gone_when_dropped() {
        let (_dir, store) = store();
        let unfinished = written(&store, "a");
        assert_eq!(store.list().unwrap(), []);
        drop(unfinished);
        assert_eq!(files(&store), 0);
    }

    #[test]
    fn a_name_is_taken_by_who_is_first() {
        let (_dir, store) = store();
        let late = written(&store, "a");
        written(&store, "a").finish().unwrap();
        for error in [
            late.finish().unwrap_err(),
            store.begin(&name("a")).unwrap_err(),
        ] {
            assert!(matches!(error, StoreError::Exists(_)), "{error}");
        }
        assert_eq!(files(&store), 1);
    }

    #[test]
    fn what_is_removed_is_gone_and_its_name_is_free() {
        let (_dir, store) = store();
        written(&store, "a").finish().unwrap();
        store.remove(&name("a")).unwrap();
        assert_eq!(files(&store), 0);
        let error = store.remove(&name("a")).unwrap_err();
        assert!(matches!(error, StoreError::Unknown(_)), "{error}");
        written(&store, "a").finish().unwrap();
    }

    #[test]
    fn a_damaged_snapshot_is_listed_refused_by_name_and_can_be_removed() {
        let (_dir, store) = store();
        let dir = written(&store, "a").finish().unwrap();
        fs::write(dir.join(STATE), "garbage").unwrap();
        assert_eq!(store.list().unwrap(), [name("a")]);
        let error = store.inspect(&name("a")).unwrap_err();
        assert_eq!(error.to_string(), "snapshot a can't be used");
        store.remove(&name("a")).unwrap();
    }

    const STORE: &str = "JAULA_TEST_STORE";

    #[test]
    #[ignore = "is killed: what_a_killed_maker_left_is_swept_but_not_what_is_being_made runs it"]
    fn a_maker_that_is_killed() {
        let Some(dir) = std::env::var_os(STORE) else {
            eprintln!("SKIPPED: {STORE} is not set");
            return;
        };
        let store = Store::new(dir);
        let _unfinished = written(&store, "b");
        println!("written");
        // Until it is killed.
        io::stdin().read_line(&mut String::new()).unwrap();
    }

    #[test]
    fn what_a_killed_maker_left_is_swept_but_not_what_is_being_made() {
        let (_dir, store) = store();
        let unfinished = written(&store, "a");
        let maker = "snapshot::store::tests::a_maker_that_is_killed";
        let mut maker = Command::new(std::env::current_exe().unwrap())
            .args([maker, "--exact", "--ignored", "--nocapture"])
            .env(STORE, &store.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(maker.stdout.take().unwrap()).lines();
        assert!(
            said.map_while(Result::ok)
                .any(|line| line.ends_with("written"))
        );
        store.sweep().unwrap();
        assert_eq!(files(&store), 2);

        maker.kill().unwrap();
        maker.wait().unwrap();
        assert_eq!((store.list().unwrap().len(), files(&store)), (0, 2));
        store.sweep().unwrap();
        assert_eq!(files(&store), 1);
        unfinished.finish().unwrap();
        assert_eq!(store.list().unwrap(), [name("a")]);
    }
}
