use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// As many as the options of an overlay have room for with a descriptor each; docker's limit is
/// 127.
pub(crate) const MAX_LAYERS: usize = 128;

/// Paths that no system call takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// One that can't be a C string.
    #[error("path {0:?} holds a NUL byte")]
    Nul(std::path::PathBuf),
    /// More directories than one overlay takes.
    #[error("the image has {0} layers; the most that can be mounted is {MAX_LAYERS}")]
    TooManyLayers(usize),
}

pub(crate) fn c_path(path: &Path) -> Result<CString, InvalidPath> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| InvalidPath::Nul(path.to_owned()))
}
