//! From what was asked to be mounted to what is mounted.

use std::collections::HashSet;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use launch::{InvalidMountPoint, Mount, MountPoint, MountSource};

use crate::notation::{MountRequest, RequestedSource, VolumeName};

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
    /// Not built yet.
    #[error("named volumes are not possible yet: {0}")]
    Volume(VolumeName),
}

/// What is mounted, each after what it lies in. The image's volumes are for this run only, and
/// give way to what the user mounts there.
pub fn resolve<'a>(
    requests: impl Iterator<Item = &'a MountRequest>,
    image_volumes: &[String],
) -> Result<Vec<Mount>, MountError> {
    let requests: Vec<_> = requests.collect();
    let mut taken = HashSet::new();
    for MountRequest { target, .. } in &requests {
        if !taken.insert(target) {
            let target = target.as_c_str().to_string_lossy().into_owned();
            return Err(MountError::Twice(target));
        }
    }
    let mut mounts = Vec::new();
    for volume in image_volumes {
        let target = MountPoint::new(volume.as_bytes())?;
        if !taken.contains(&target) {
            mounts.push(Mount {
                source: MountSource::Anonymous,
                target,
                read_only: false,
            });
        }
    }
    for request in requests {
        mounts.push(Mount {
            source: source(&request.source)?,
            target: request.target.clone(),
            read_only: request.read_only,
        });
    }
    mounts.sort_by_key(|mount| depth(&mount.target));
    Ok(mounts)
}

/// What lies in a directory has more slashes in its path.
fn depth(target: &MountPoint) -> usize {
    let path = target.as_c_str().to_bytes();
    path.iter().filter(|byte| **byte == b'/').count()
}

fn source(requested: &RequestedSource) -> Result<MountSource, MountError> {
    match requested {
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
        RequestedSource::Volume { name, .. } => Err(MountError::Volume(name.clone())),
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

    use tempfile::TempDir;

    use super::*;
    use crate::notation::{MountArg, VolumeArg};

    fn volumes(given: &[&str]) -> Vec<MountRequest> {
        let parse = |given: &&str| given.parse::<VolumeArg>().unwrap().0;
        given.iter().map(parse).collect()
    }

    fn targets(requests: &[MountRequest], image: &[&str]) -> Result<Vec<String>, MountError> {
        let image: Vec<_> = image.iter().map(|&path| path.to_owned()).collect();
        let mounts = resolve(requests.iter(), &image)?;
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
        let error = resolve([&mount].into_iter(), &[]).unwrap_err();
        assert!(error.to_string().ends_with("/new/deep"), "{error}");
        assert!(!path.exists());
        let volume = volumes(&[&format!("{}:/d", path.display())]);
        resolve(volume.iter(), &[]).unwrap();
        assert!(path.is_dir());
        resolve([&mount].into_iter(), &[]).unwrap();
    }

    #[test]
    fn a_file_can_be_mounted_and_a_link_that_leads_nowhere_not() {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink("/nonexistent", dir.path().join("link")).unwrap();
        let at = |name: &str| volumes(&[&format!("{}/{name}:/d", dir.path().display())]);
        assert!(resolve(at("file").iter(), &[]).is_ok());
        assert!(resolve(at("link").iter(), &[]).is_err());
    }
}
