//! From what was asked to be mounted to what is mounted.

use std::collections::HashSet;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use launch::{InvalidMountPoint, Mount, MountPoint, MountSource, RootFs};

use crate::notation::{MountRequest, RequestedSource};
use crate::volumes::{UsedVolume, VolumeError, Volumes};

/// Why something can't be mounted.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// Two were asked for in one place.
    #[error("more than one mount at {0:?}")]
    Twice(String),
    /// What is to be shown is not there.
    #[error("can't mount {}", path.display())]
    Source {
        /// What.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A directory of the host could not be made.
    #[error("can't make the directory {} to mount it", path.display())]
    Make {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The image wants a volume where nothing can be mounted.
    #[error("the image's configuration can't be used")]
    ImageVolume(#[from] InvalidMountPoint),
    /// A named volume can't be had.
    #[error(transparent)]
    Volume(#[from] VolumeError),
}

impl MountError {
    /// What the user can do about it.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Volume(error) => error.remedy(),
            _ => None,
        }
    }
}

/// Where what is mounted comes from, beyond the host's files.
#[derive(Clone, Copy)]
pub struct Origins<'a> {
    /// The user's volumes.
    pub volumes: &'a Volumes,
    /// The image, which new volumes begin with.
    pub root: &'a RootFs,
    /// The paths that the image wants to be volumes.
    pub image_volumes: &'a [String],
}

/// What is mounted, each after what it lies in, and the named volumes of it. The image's volumes
/// are for this run only, and give way to what the user mounts there.
pub fn resolve<'a>(
    requests: impl Iterator<Item = &'a MountRequest>,
    origins: Origins<'_>,
) -> Result<(Vec<Mount>, Vec<UsedVolume>), MountError> {
    let requests: Vec<_> = requests.collect();
    let mut taken = HashSet::new();
    for MountRequest { target, .. } in &requests {
        if !taken.insert(target) {
            let target = target.as_c_str().to_string_lossy().into_owned();
            return Err(MountError::Twice(target));
        }
    }
    let mut mounts = Vec::new();
    for volume in origins.image_volumes {
        let target = MountPoint::new(volume.as_bytes())?;
        if !taken.contains(&target) {
            mounts.push(Mount {
                source: MountSource::Anonymous,
                target,
                read_only: false,
            });
        }
    }
    let mut used = Vec::new();
    for request in requests {
        mounts.push(Mount {
            source: source(request, origins, &mut used)?,
            target: request.target.clone(),
            read_only: request.read_only,
        });
    }
    mounts.sort_by_key(|mount| depth(&mount.target));
    Ok((mounts, used))
}

/// What lies in a directory has more slashes in its path.
fn depth(target: &MountPoint) -> usize {
    let path = target.as_c_str().to_bytes();
    path.iter().filter(|byte| **byte == b'/').count()
}

fn source(
    request: &MountRequest,
    origins: Origins<'_>,
    used: &mut Vec<UsedVolume>,
) -> Result<MountSource, MountError> {
    match &request.source {
        RequestedSource::Host { path, make } => {
            if *make {
                make_if_missing(path)?;
            }
            let path = path.canonicalize().map_err(|source| MountError::Source {
                path: path.clone(),
                source,
            })?;
            Ok(MountSource::Bind(path))
        }
        RequestedSource::Volume { name, copy } => {
            let begin_with = copy.then_some((origins.root, &request.target));
            let volume = origins.volumes.take(name, begin_with)?;
            let path = volume.path.clone();
            used.push(volume);
            Ok(MountSource::Bind(path))
        }
        RequestedSource::Anonymous => Ok(MountSource::Anonymous),
        RequestedSource::Tmpfs {
            size_bytes,
            mode,
            executable,
        } => Ok(MountSource::Tmpfs {
            size_bytes: *size_bytes,
            mode: *mode,
            executable: *executable,
        }),
    }
}

fn make_if_missing(path: &Path) -> Result<(), MountError> {
    // A link that leads nowhere is there, and told of as such when it is used.
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(0o755).create(path);
    made.map_err(|source| MountError::Make {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use launch::Digest;
    use tempfile::TempDir;

    use super::*;
    use crate::notation::{MountArg, VolumeArg};

    fn volumes(given: &[&str]) -> Vec<MountRequest> {
        let parse = |given: &&str| given.parse::<VolumeArg>().unwrap().0;
        given.iter().map(parse).collect()
    }

    /// With an empty image that wants these volumes.
    fn mounts(requests: &[MountRequest], image: &[&str]) -> Result<Vec<Mount>, MountError> {
        let dir = TempDir::new().unwrap();
        let image: Vec<_> = image.iter().map(|&path| path.to_owned()).collect();
        let origins = Origins {
            volumes: &Volumes::new(dir.path().join("volumes")),
            root: &RootFs {
                layers: dir.path().to_owned().into(),
                digest: Digest::from_bytes(b"test"),
                read_only: false,
            },
            image_volumes: &image,
        };
        resolve(requests.iter(), origins).map(|(mounts, _)| mounts)
    }

    fn targets(requests: &[MountRequest], image: &[&str]) -> Result<Vec<String>, MountError> {
        let mounts = mounts(requests, image)?;
        let target = |mount: &Mount| mount.target.as_c_str().to_str().unwrap().to_owned();
        Ok(mounts.iter().map(target).collect())
    }

    #[test]
    fn what_lies_in_another_mount_comes_after_it() {
        let requests = volumes(&["/a/b/c", "/a", "/z/y", "/a/b"]);
        let order = targets(&requests, &["/a/image"]).unwrap();
        assert_eq!(order, ["/a", "/a/image", "/z/y", "/a/b", "/a/b/c"]);
    }

    #[test]
    fn the_images_volumes_give_way() {
        let requests = volumes(&["/data"]);
        let order = targets(&requests, &["/data/", "/logs"]).unwrap();
        assert_eq!(order.len(), 2, "{order:?}");
    }

    #[test]
    fn two_mounts_in_one_place_are_refused() {
        let error = targets(&volumes(&["/a", "/a/"]), &[]).unwrap_err();
        assert_eq!(error.to_string(), "more than one mount at \"/a\"");
    }

    #[test]
    fn an_image_can_not_mount_over_its_root() {
        for volume in ["/", "a", "/a/../.."] {
            assert!(targets(&[], &[volume]).is_err(), "{volume}");
        }
    }

    #[test]
    fn a_missing_directory_is_made_for_volume_and_missed_by_mount() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("new/deep");
        let mount = format!("type=bind,src={},dst=/d", path.display());
        let mount = mount.parse::<MountArg>().unwrap().0;
        let error = mounts(std::slice::from_ref(&mount), &[]).unwrap_err();
        assert!(error.to_string().ends_with("/new/deep"), "{error}");
        assert!(!path.exists());
        let volume = volumes(&[&format!("{}:/d", path.display())]);
        mounts(&volume, &[]).unwrap();
        assert!(path.is_dir());
        mounts(&[mount], &[]).unwrap();
    }

    #[test]
    fn a_file_can_be_mounted_and_a_link_that_leads_nowhere_not() {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink("/nonexistent", dir.path().join("link")).unwrap();
        let at = |name: &str| volumes(&[&format!("{}/{name}:/d", dir.path().display())]);
        assert!(mounts(&at("file"), &[]).is_ok());
        assert!(mounts(&at("link"), &[]).is_err());
    }
}
