//! A directory of an image, copied to where it can be written to: what a new volume begins with.

use std::borrow::Cow;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use entry::open_in_root;
use launch::{MountPoint, RootFs};
use rustix::fs::{Mode, OFlags, ResolveFlags, open};
use rustix::process::fchdir;

use crate::debian_tool::{Tool, ToolError};
use crate::merged_view::MergedView;
use crate::store::{self, StoreError};
use crate::users::open_in_layers::open_in_layers;

/// It keeps owners, modes, times, attributes, hard links, devices and holes, and its option for
/// all of that follows no link. By its path, as it is started in a directory of the image.
const CP: Tool = Tool {
    program: "/bin/cp",
    package: "coreutils",
};

/// Why a directory of an image can't be copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The image can't be read, or is no directory there.
    #[error("can't copy {path} of the image")]
    Read {
        /// The path in the image.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// `cp` is not there, or failed.
    #[error("can't copy {path} of the image")]
    Cp {
        /// The path in the image.
        path: String,
        /// Why not.
        source: ToolError,
    },
    /// What the store knows of a layer can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CopyError {
    /// What the user can do about it.
    pub fn remedy(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Cp { source, .. } => source.remedy(),
            _ => None,
        }
    }
}

/// Copies what `root` has at `path` into `to`, an empty directory, which gets owner, mode and
/// times, too. A path that the image does not have leaves it empty. `scratch` is an empty
/// directory that nobody else uses.
///
/// # Errors
///
/// When there is something else than a directory, or it can't be copied to its last file.
pub fn copy_out(
    root: &RootFs,
    path: &MountPoint,
    to: &Path,
    scratch: &Path,
) -> Result<(), CopyError> {
    let named = || path.as_c_str().to_string_lossy().into_owned();
    let failed = |source| CopyError::Read {
        path: named(),
        source,
    };
    let inside = Path::new(std::ffi::OsStr::from_bytes(path.as_c_str().to_bytes()));
    match open_in_layers(&root.layers, inside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => {}
        Err(error) => return Err(failed(error)),
        Ok(_) => return Err(failed(io::ErrorKind::NotADirectory.into())),
    }

    let directory = match store::is_stored(root) {
        true => store::sole_directory(root)?,
        false => Some(root.layers.top()),
    };
    let view = match directory {
        Some(_) => None,
        None => Some(MergedView::new(&root.layers, scratch).map_err(failed)?),
    };
    let start = directory.unwrap_or(scratch);
    let start = CString::new(start.as_os_str().as_bytes()).map_err(|nul| failed(nul.into()))?;
    let inside = path.as_c_str().to_owned();
    let enter = move || {
        if let Some(view) = &view {
            view.enter()?;
        }
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let start = open(&start, flags | OFlags::PATH, Mode::empty())?;
        // The image may have made links of the path, which lead nowhere but into it.
        let flags = flags | OFlags::RDONLY;
        let inside = open_in_root(&start, inside.as_c_str(), flags, ResolveFlags::empty())?;
        Ok(fchdir(inside)?)
    };
    let to: PathBuf = fs::canonicalize(to).map_err(failed)?;
    let mut command = CP.command();
    command.args(["--archive", "--reflink=auto", "--", "."]);
    command.arg(to);
    // SAFETY: `enter` makes system calls and formats numbers into memory that it has; it takes no
    // lock and no memory.
    unsafe { command.pre_exec(enter) };
    CP.run_command(command)
        .map(drop)
        .map_err(|source| CopyError::Cp {
            path: named(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use launch::{Digest, Layers};
    use tempfile::TempDir;

    use super::*;

    /// A root with `/data`, and a directory outside.
    fn world() -> (TempDir, RootFs) {
        let dir = TempDir::new().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("data/sub")).unwrap();
        fs::write(root.join("data/file"), "contents").unwrap();
        fs::hard_link(root.join("data/file"), root.join("data/sub/same")).unwrap();
        symlink("/etc", root.join("data/link")).unwrap();
        fs::set_permissions(root.join("data"), Permissions::from_mode(0o2750)).unwrap();
        fs::create_dir(dir.path().join("secret")).unwrap();
        fs::write(dir.path().join("secret/key"), "").unwrap();
        let root = RootFs {
            layers: Layers::from(root),
            digest: Digest::from_bytes(b"test"),
            read_only: false,
        };
        (dir, root)
    }

    fn copy(dir: &TempDir, root: &RootFs, path: &str) -> Result<PathBuf, CopyError> {
        let to = dir.path().join("volume");
        let scratch = dir.path().join("scratch");
        fs::create_dir(&to).unwrap();
        fs::create_dir(&scratch).unwrap();
        let path = MountPoint::new(path.as_bytes()).unwrap();
        copy_out(root, &path, &to, &scratch).map(|()| to)
    }

    #[test]
    fn a_copy_has_modes_and_links_of_both_kinds() {
        let (dir, root) = world();
        let to = copy(&dir, &root, "/data").unwrap();
        assert_eq!(fs::metadata(&to).unwrap().mode() & 0o7777, 0o2750);
        assert_eq!(fs::read_to_string(to.join("file")).unwrap(), "contents");
        assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("/etc"));
        let ino = |name: &str| fs::metadata(to.join(name)).unwrap().ino();
        assert_eq!(ino("file"), ino("sub/same"));
    }

    #[test]
    fn a_link_of_the_image_leads_nowhere_but_into_it() {
        let (dir, root) = world();
        let secret = dir.path().join("secret");
        symlink(&secret, root.layers.top().join("absolute")).unwrap();
        symlink("../secret", root.layers.top().join("relative")).unwrap();
        symlink("../../../data", root.layers.top().join("inside")).unwrap();
        for path in ["/absolute", "/relative"] {
            let dir = TempDir::new_in(dir.path()).unwrap();
            let to = copy(&dir, &root, path).unwrap();
            assert_eq!(fs::read_dir(to).unwrap().count(), 0, "{path}");
        }
        let to = copy(&dir, &root, "/inside").unwrap();
        assert!(to.join("file").exists());
    }

    #[test]
    fn what_the_image_does_not_have_is_empty_and_a_file_is_refused() {
        let (dir, root) = world();
        let to = copy(&dir, &root, "/missing/deep").unwrap();
        assert_eq!(fs::read_dir(to).unwrap().count(), 0);
        let (dir, root) = world();
        assert!(copy(&dir, &root, "/data/file").is_err());
    }
}
