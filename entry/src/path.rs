use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A path that no system call takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("path {0:?} holds a NUL byte")]
pub struct InvalidPath(std::path::PathBuf);

pub(crate) fn c_path(path: &Path) -> Result<CString, InvalidPath> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| InvalidPath(path.to_owned()))
}
