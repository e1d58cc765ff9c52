use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use launch::Digest;
use sha2::{Digest as _, Sha256};

/// A part of a tree that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("can't {action} {}", path.display())]
pub struct SurveyError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl SurveyError {
    pub(super) fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// One name in a tree.
pub(super) struct Entry {
    /// Relative to the tree's root, which itself is the empty path.
    pub(super) path: PathBuf,
    pub(super) metadata: Metadata,
}

/// All names of a tree with their metadata, sorted; links are not followed, no file is opened.
pub(super) struct Survey {
    pub(super) entries: Vec<Entry>,
}

impl Survey {
    pub(super) fn of(root: &Path) -> Result<Self, SurveyError> {
        let refuse = |action, path: &Path, kind: io::ErrorKind, why| {
            SurveyError::new(action, path, io::Error::new(kind, why))
        };
        let metadata =
            fs::metadata(root).map_err(|source| SurveyError::new("read", root, source))?;
        if !metadata.is_dir() {
            return Err(SurveyError::new(
                "read",
                root,
                io::ErrorKind::NotADirectory.into(),
            ));
        }
        let device = metadata.dev();
        let mut entries = vec![Entry {
            path: PathBuf::new(),
            metadata,
        }];
        // A stack and no recursion: how deep the tree is, is not ours to choose.
        let mut unread = vec![PathBuf::new()];
        while let Some(dir) = unread.pop() {
            for name in names(&root.join(&dir))? {
                let path = dir.join(name);
                let full = root.join(&path);
                let metadata = fs::symlink_metadata(&full)
                    .map_err(|source| SurveyError::new("read", &full, source))?;
                if metadata.dev() != device {
                    // The container's overlay would show an empty directory here and the
                    // guest's disk what is mounted.
                    return Err(refuse(
                        "use",
                        &full,
                        io::ErrorKind::CrossesDevices,
                        "another file system is mounted there",
                    ));
                }
                if metadata.is_dir() {
                    unread.push(path.clone());
                }
                entries.push(Entry { path, metadata });
            }
        }
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { entries })
    }

    /// A digest of what tells an unchanged tree without its contents being read.
    pub(super) fn fingerprint(&self) -> Digest {
        let mut hash = Sha256::new();
        for Entry { path, metadata } in &self.entries {
            let path = path.as_os_str().as_bytes();
            hash.update((path.len() as u64).to_le_bytes());
            hash.update(path);
            for number in [
                metadata.dev(),
                metadata.ino(),
                metadata.mode().into(),
                metadata.uid().into(),
                metadata.gid().into(),
                metadata.nlink(),
                metadata.rdev(),
                metadata.size(),
                metadata.mtime().cast_unsigned(),
                metadata.mtime_nsec().cast_unsigned(),
                metadata.ctime().cast_unsigned(),
                metadata.ctime_nsec().cast_unsigned(),
            ] {
                hash.update(number.to_le_bytes());
            }
        }
        Digest::from_bytes(&hash.finalize())
    }

    /// When the tree changed last, in seconds since 1970 on the file system's clock.
    pub(super) fn newest_change_s(&self) -> i64 {
        self.entries
            .iter()
            .map(|entry| entry.metadata.ctime())
            .max()
            .unwrap_or(i64::MAX)
    }

    /// Owner and group of every entry, if it is one and the same.
    pub(super) fn sole_owner(&self) -> Option<(u32, u32)> {
        let owner = |entry: &Entry| (entry.metadata.uid(), entry.metadata.gid());
        let first = self.entries.first().map(owner)?;
        self.entries
            .iter()
            .all(|entry| owner(entry) == first)
            .then_some(first)
    }
}

fn names(dir: &Path) -> Result<Vec<OsString>, SurveyError> {
    fs::read_dir(dir)
        .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect())
        .map_err(|source| SurveyError::new("read", dir, source))
}
