//! The directories and files of a built-in image.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

/// A file of an image can't be read or written.
#[derive(Debug, thiserror::Error)]
#[error("can't {action} {}", path.display())]
pub struct FileError {
    /// In a word.
    action: &'static str,
    /// Which.
    path: PathBuf,
    /// Why not.
    source: io::Error,
}

impl FileError {
    pub(super) fn of(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// Makes a root with these directories, which have modes, and these files, which have contents.
pub(super) fn make(
    root: &Path,
    directories: &[(&str, u32)],
    files: &[(&str, &str)],
) -> Result<(), FileError> {
    fs::create_dir_all(root).map_err(FileError::of("make", root))?;
    set_mode(root, 0o755)?;
    for (path, mode) in directories {
        make_directory(&root.join(path), *mode)?;
    }
    for (path, contents) in files {
        write(&root.join(path), contents.as_bytes(), 0o644)?;
    }
    Ok(())
}

/// A new directory.
pub(super) fn make_directory(path: &Path, mode: u32) -> Result<(), FileError> {
    fs::create_dir(path).map_err(FileError::of("make", path))?;
    set_mode(path, mode)
}

/// A new file, on the disk when this returns.
pub(super) fn write(path: &Path, contents: &[u8], mode: u32) -> Result<(), FileError> {
    File::create_new(path)
        .and_then(|mut file| {
            file.write_all(contents)?;
            file.sync_all()
        })
        .map_err(FileError::of("write", path))?;
    set_mode(path, mode)
}

/// The mode as it is said, whatever the umask.
fn set_mode(path: &Path, mode: u32) -> Result<(), FileError> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(FileError::of("set the mode of", path))
}

/// Gives all that is below `root`, and that itself, this time, in seconds since 1970.
pub(super) fn set_times(root: &Path, seconds: i64) -> Result<(), FileError> {
    let read = || FileError::of("read", root);
    if fs::symlink_metadata(root).map_err(read())?.is_dir() {
        for entry in fs::read_dir(root).map_err(read())? {
            set_times(&entry.map_err(read())?.path(), seconds)?;
        }
    }
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(CWD, root, &times, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|errno| FileError::of("set the time of", root)(errno.into()))
}
