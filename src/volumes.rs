//! Named volumes: directories that outlive the instances that they are mounted in.
//!
//! One is made under another name and renamed when all that it begins with is copied, so what has
//! a volume's name is complete. Whoever uses one holds a shared lock on it, and whoever removes or
//! replaces it an exclusive one ([`host::locked`]).

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use guest_images::{CopyError, copy_out};
use host::locked::{Attempt, Locked, lock_file};
use launch::{MountPoint, NoProgress, RootFs};

use crate::notation::VolumeName;

/// Held, exclusive, while volumes are made and removed. No volume's name begins with a dot.
const LOCK: &str = ".lock";

/// What is not complete yet, or removed by half.
const UNFINISHED: &str = ".making";

/// Why a volume can't be had.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// A file or directory of the volumes can't be used.
    #[error("can't {action} {}", path.display())]
    Io {
        /// In a word.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What it is to begin with can't be copied.
    #[error("can't make the volume {name}")]
    Copy {
        /// The volume.
        name: VolumeName,
        /// Why not.
        source: CopyError,
    },
    /// There is none of this name.
    #[error("there is no volume {0}")]
    Missing(VolumeName),
    /// An instance has it mounted.
    #[error("the volume {0} is in use")]
    InUse(VolumeName),
}

impl VolumeError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// What the user can do about it.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Copy { source, .. } => source.remedy().map(Into::into),
            Self::Missing(_) => Some("see jaula volume ls".into()),
            Self::InUse(_) => Some("end what uses it first".into()),
            Self::Io { .. } => None,
        }
    }
}

impl From<VolumeError> for launch::Error {
    fn from(error: VolumeError) -> Self {
        let remedy = error.remedy();
        Self::remedied(error, remedy)
    }
}

/// The volumes of one user.
#[derive(Clone, Debug)]
pub struct Volumes {
    dir: PathBuf,
}

/// A volume that nobody removes while this is held.
#[derive(Debug)]
pub struct UsedVolume {
    /// Where its files are.
    pub path: PathBuf,
    /// Shared.
    _lock: Locked,
}

impl Volumes {
    /// Those in `dir`, which is made with the first of them.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The volume of this name, made if it is not there. One that is empty and that nobody uses
    /// gets what `begin_with` has at its path, as docker does.
    pub fn take(
        &self,
        name: &VolumeName,
        begin_with: Option<(&RootFs, &MountPoint)>,
    ) -> Result<UsedVolume, VolumeError> {
        let _lock = self.lock()?;
        let path = self.dir.join(name.as_str());
        if !path.exists() {
            self.make(name, begin_with)?;
        } else if begin_with.is_some() && is_empty(&path)? {
            let attempt = Locked::try_exclusive(&path).map_err(VolumeError::io("lock", &path))?;
            if let Attempt::Locked(_lock) = attempt {
                self.make(name, begin_with)?;
            }
        }
        // Nobody removes it, nor holds it exclusively, but under the lock, which is ours.
        let used = Locked::shared(&path).map_err(VolumeError::io("lock", &path))?;
        let lock = used.ok_or_else(|| VolumeError::Missing(name.clone()))?;
        Ok(UsedVolume { path, _lock: lock })
    }

    /// Makes an empty volume, unless there is one of this name.
    pub fn create(&self, name: &VolumeName) -> Result<(), VolumeError> {
        self.take(name, None).map(drop)
    }

    /// The names of all, in order.
    pub fn list(&self) -> Result<Vec<VolumeName>, VolumeError> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(VolumeError::io("read", &self.dir))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(VolumeError::io("read", &self.dir))?;
            // What is no volume's name is none.
            names.extend(
                entry
                    .file_name()
                    .to_str()
                    .and_then(|name| name.parse().ok()),
            );
        }
        names.sort();
        Ok(names)
    }

    /// Where a volume's files are.
    pub fn path(&self, name: &VolumeName) -> PathBuf {
        self.dir.join(name.as_str())
    }

    /// Removes a volume with all that is in it.
    pub fn remove(&self, name: &VolumeName) -> Result<(), VolumeError> {
        let missing = || VolumeError::Missing(name.clone());
        if !self.dir.exists() {
            return Err(missing());
        }
        let _lock = self.lock()?;
        let path = self.path(name);
        let _volume = match Locked::try_exclusive(&path).map_err(VolumeError::io("lock", &path))? {
            Attempt::Locked(volume) => volume,
            Attempt::Held => return Err(VolumeError::InUse(name.clone())),
            Attempt::Gone => return Err(missing()),
        };
        // What is removed by half must not be found.
        let unfinished = self.unfinished()?;
        fs::rename(&path, unfinished.join("removed")).map_err(VolumeError::io("remove", &path))?;
        remove_if_there(&unfinished)
    }

    /// Makes a complete volume of this name, in place of an empty one or of none.
    fn make(
        &self,
        name: &VolumeName,
        begin_with: Option<(&RootFs, &MountPoint)>,
    ) -> Result<(), VolumeError> {
        let unfinished = self.unfinished()?;
        let volume = unfinished.join("volume");
        let scratch = unfinished.join("scratch");
        make_dir(&volume, 0o755)?;
        make_dir(&scratch, 0o700)?;
        if let Some((root, at)) = begin_with {
            copy_out(root, at, &volume, &scratch).map_err(|source| VolumeError::Copy {
                name: name.clone(),
                source,
            })?;
        }
        let path = self.path(name);
        File::open(&volume)
            .and_then(|dir| nix::unistd::syncfs(&dir).map_err(Into::into))
            .and_then(|()| fs::rename(&volume, &path))
            .map_err(VolumeError::io("make", &path))?;
        remove_if_there(&unfinished)
    }

    /// An empty directory to make things in. What it had in it was left by a process that was
    /// killed, as all others hold the lock.
    fn unfinished(&self) -> Result<PathBuf, VolumeError> {
        let path = self.dir.join(UNFINISHED);
        remove_if_there(&path)?;
        make_dir(&path, 0o700)?;
        Ok(path)
    }

    fn lock(&self) -> Result<File, VolumeError> {
        // Nobody else enters: what is in volumes may be set-user-ID.
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir);
        made.map_err(VolumeError::io("make", &self.dir))?;
        let path = self.dir.join(LOCK);
        lock_file(&path, &NoProgress, "").map_err(VolumeError::io("lock", &path))
    }
}

fn is_empty(path: &Path) -> Result<bool, VolumeError> {
    let mut entries = fs::read_dir(path).map_err(VolumeError::io("read", path))?;
    Ok(entries.next().is_none())
}

fn make_dir(path: &Path, mode: u32) -> Result<(), VolumeError> {
    let made = DirBuilder::new().mode(mode).create(path);
    made.map_err(VolumeError::io("make", path))
}

fn remove_if_there(path: &Path) -> Result<(), VolumeError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(VolumeError::io("remove", path)),
    }
}

#[cfg(test)]
mod tests {
    use launch::{Digest, Layers};
    use tempfile::TempDir;

    use super::*;

    /// Volumes, and an image with a file in `/data`.
    fn world() -> (TempDir, Volumes, RootFs) {
        let dir = TempDir::new().unwrap();
        fs::create_dir_all(dir.path().join("root/data")).unwrap();
        fs::write(dir.path().join("root/data/file"), "of the image").unwrap();
        let root = RootFs {
            layers: Layers::from(dir.path().join("root")),
            digest: Digest::from_bytes(b"test"),
            read_only: false,
        };
        let volumes = Volumes::new(dir.path().join("volumes"));
        (dir, volumes, root)
    }

    fn name(text: &str) -> VolumeName {
        text.parse().unwrap()
    }

    fn data() -> MountPoint {
        MountPoint::new(b"/data").unwrap()
    }

    #[test]
    fn a_new_volume_begins_with_what_the_image_has_and_is_kept() {
        let (_dir, volumes, root) = world();
        let volume = volumes.take(&name("v1"), Some((&root, &data()))).unwrap();
        let file = volume.path.join("file");
        assert_eq!(fs::read_to_string(&file).unwrap(), "of the image");
        fs::write(&file, "changed").unwrap();
        drop(volume);
        volumes.take(&name("v1"), Some((&root, &data()))).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "changed");
    }

    #[test]
    fn an_empty_volume_is_filled_unless_somebody_uses_it() {
        let (_dir, volumes, root) = world();
        let empty = volumes.take(&name("v1"), None).unwrap();
        volumes.take(&name("v1"), Some((&root, &data()))).unwrap();
        assert!(!empty.path.join("file").exists());
        drop(empty);
        let filled = volumes.take(&name("v1"), Some((&root, &data()))).unwrap();
        assert!(filled.path.join("file").exists());
    }

    #[test]
    fn what_was_copied_by_half_is_no_volume() {
        let (_dir, volumes, root) = world();
        volumes.create(&name("v0")).unwrap();
        // As a process leaves it that is killed.
        fs::create_dir_all(volumes.dir.join(".making/volume/half")).unwrap();
        assert_eq!(volumes.list().unwrap(), [name("v0")]);
        let volume = volumes.take(&name("v1"), Some((&root, &data()))).unwrap();
        assert_eq!(fs::read_dir(&volume.path).unwrap().count(), 1);
        assert!(!volumes.dir.join(".making").exists());
    }

    #[test]
    fn a_failed_copy_leaves_no_volume() {
        let (_dir, volumes, root) = world();
        let file = MountPoint::new(b"/data/file").unwrap();
        assert!(volumes.take(&name("v1"), Some((&root, &file))).is_err());
        assert_eq!(volumes.list().unwrap(), []);
    }

    #[test]
    fn a_volume_in_use_is_not_removed() {
        let (_dir, volumes, _) = world();
        let volume = volumes.take(&name("v1"), None).unwrap();
        let error = volumes.remove(&name("v1")).unwrap_err();
        assert!(matches!(error, VolumeError::InUse(_)), "{error}");
        drop(volume);
        volumes.remove(&name("v1")).unwrap();
        assert_eq!(volumes.list().unwrap(), []);
        let error = volumes.remove(&name("v1")).unwrap_err();
        assert!(matches!(error, VolumeError::Missing(_)), "{error}");
    }
}
