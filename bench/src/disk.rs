//! What an instance takes of the host's disks: blocks that are allocated, not the sizes of files.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use launch::{DiskFiles, InstanceId, MountSource, Workload};
use serde::{Deserialize, Serialize};

use crate::FileSystem;

/// What the run that was checked took of the host's disks, in bytes of allocated blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskUse {
    /// The image, unpacked or as a disk: once for all instances of it.
    pub image_bytes: u64,
    /// jaula's program, and a guest's kernel and init: once for all instances of the side.
    pub fixed_bytes: u64,
    /// The machine that a warm VM goes on from: once for all instances like it.
    pub template_bytes: Option<u64>,
    /// What the instance has for itself; `None` if the command was not executed.
    pub own: Option<OwnDisk>,
}

/// What one instance takes, in bytes of allocated blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnDisk {
    /// Its directory among those that run, at main.
    pub at_start_bytes: u64,
    /// The same at the end of the run.
    pub at_end_bytes: u64,
    /// The type of file system that the directory is on: `tmpfs` is memory.
    pub file_system: Option<String>,
    /// Its writable volumes of the host's, at main. They stay.
    pub volumes_at_start_bytes: u64,
    /// The same at the end of the run.
    pub volumes_at_end_bytes: u64,
}

impl OwnDisk {
    /// What was written to its volumes while it ran.
    pub(crate) fn written_to_volumes_bytes(&self) -> u64 {
        self.volumes_at_end_bytes
            .saturating_sub(self.volumes_at_start_bytes)
    }

    /// What it had at last, with what it wrote to volumes.
    pub(crate) fn all_at_end_bytes(&self) -> u64 {
        self.at_end_bytes + self.written_to_volumes_bytes()
    }
}

/// Follows what one instance has for itself.
pub(crate) struct Own<'a> {
    dir: PathBuf,
    volumes: &'a [PathBuf],
    at_start: Option<io::Result<(u64, u64)>>,
}

impl<'a> Own<'a> {
    /// Of an instance that was launched; `None` if it can't be told where it is.
    pub(crate) fn of(id: &InstanceId, volumes: &'a [PathBuf]) -> Option<Self> {
        let dir = host::paths::run_dir().ok()?.join(id.as_str());
        dir.is_dir().then_some(Self {
            dir,
            volumes,
            at_start: None,
        })
    }

    /// The first time, it is how it starts.
    pub(crate) fn note_start(&mut self) {
        if self.at_start.is_none() {
            self.at_start = Some(self.read());
        }
    }

    /// How it is at last.
    pub(crate) fn finish(self) -> Option<OwnDisk> {
        let (at_start_bytes, volumes_at_start_bytes) = self.at_start.as_ref()?.as_ref().ok()?;
        let (at_end_bytes, volumes_at_end_bytes) = self.read().ok()?;
        Some(OwnDisk {
            at_start_bytes: *at_start_bytes,
            at_end_bytes,
            file_system: FileSystem::of(&self.dir).map(|it| it.kind),
            volumes_at_start_bytes: *volumes_at_start_bytes,
            volumes_at_end_bytes,
        })
    }

    fn read(&self) -> io::Result<(u64, u64)> {
        Ok((allocated([&self.dir])?, allocated(self.volumes)?))
    }
}

/// The volumes of the host's that a workload may write to.
pub(crate) fn volumes(workload: &Workload) -> Vec<PathBuf> {
    let mounts = workload.mounts.iter().filter(|mount| !mount.read_only);
    let sources = mounts.filter_map(|mount| match &mount.source {
        MountSource::Bind(source) => Some(source.clone()),
        MountSource::Tmpfs { .. } | MountSource::Anonymous => None,
    });
    sources.collect()
}

impl DiskUse {
    /// With what all instances share; `None` if that can't be read.
    pub(crate) fn of(files: &DiskFiles, own: Option<OwnDisk>) -> Option<Self> {
        let program = std::env::current_exe().ok()?;
        let template = files.template.as_ref();
        let template_bytes = template.map(|it| allocated([it])).transpose().ok()?;
        Some(Self {
            image_bytes: allocated(&files.image).ok()?,
            fixed_bytes: allocated(files.fixed.iter().chain([&program])).ok()?,
            template_bytes,
            own,
        })
    }
}

/// The blocks of these files and of all that is in these directories, in bytes. A file of several names
/// counts once, and a link itself; what goes away meanwhile counts not.
pub(crate) fn allocated(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> io::Result<u64> {
    let mut seen = BTreeSet::new();
    let mut bytes = 0;
    let mut to_do: Vec<PathBuf> = paths.into_iter().map(|it| it.as_ref().to_owned()).collect();
    while let Some(path) = to_do.pop() {
        let found = fs::symlink_metadata(&path).and_then(|metadata| {
            let inside = match metadata.is_dir() {
                true => fs::read_dir(&path)?
                    .map(|it| Ok(it?.path()))
                    .collect::<io::Result<_>>()?,
                false => Vec::new(),
            };
            Ok((metadata, inside))
        });
        match found {
            Ok((metadata, inside)) => {
                if is_first(&metadata, &mut seen) {
                    // st_blocks is in units of 512 bytes, whatever the file system's are: stat(2).
                    bytes += metadata.blocks() * 512;
                }
                to_do.extend(inside);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

fn is_first(metadata: &Metadata, seen: &mut BTreeSet<(u64, u64)>) -> bool {
    metadata.nlink() == 1 || metadata.is_dir() || seen.insert((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::{FileExt, symlink};

    use super::*;

    #[test]
    fn blocks_count_and_not_sizes_and_a_file_of_two_names_once() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let empty = allocated([dir.path()]).unwrap();
        let file = File::create(at("sparse")).unwrap();
        // A gigabyte long, of which a quarter of a MiB is there.
        file.write_all_at(&[7; 256 << 10], 1 << 30).unwrap();
        fs::hard_link(at("sparse"), at("second")).unwrap();
        symlink("/", at("elsewhere")).unwrap();
        file.sync_all().unwrap();
        let with_file = allocated([dir.path()]).unwrap() - empty;
        assert!((256 << 10..512 << 10).contains(&with_file), "{with_file}");
        fs::create_dir(at("inner")).unwrap();
        fs::rename(at("second"), at("inner/second")).unwrap();
        let moved = allocated([at("sparse"), at("inner")]).unwrap();
        assert!((256 << 10..512 << 10).contains(&moved), "{moved}");
    }

    #[test]
    fn what_is_gone_counts_not() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(allocated([dir.path().join("x")]).unwrap(), 0);
    }
}
