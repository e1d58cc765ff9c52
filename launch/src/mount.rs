use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A place in the instance that nothing can be mounted on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("mount point {given:?}: {why}")]
pub struct InvalidMountPoint {
    given: String,
    why: &'static str,
}

/// A path inside the instance: absolute, without `.` and `..`, and neither the root itself nor in
/// `/proc`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MountPoint(CString);

impl MountPoint {
    /// Reads an absolute path; `.` and doubled slashes are left out.
    ///
    /// # Errors
    ///
    /// When it is not absolute, is the root, is in `/proc`, holds a NUL byte, or goes up by `..`: what that
    /// leads to would depend on the image.
    pub fn new(given: &[u8]) -> Result<Self, InvalidMountPoint> {
        let refuse = |why| InvalidMountPoint {
            given: String::from_utf8_lossy(given).into_owned(),
            why,
        };
        if !given.starts_with(b"/") {
            return Err(refuse("takes an absolute path"));
        }
        let mut path = Vec::with_capacity(given.len());
        for component in given.split(|byte| *byte == b'/') {
            match component {
                b"" | b"." => {}
                b".." => return Err(refuse("takes a path without ..")),
                name => {
                    path.push(b'/');
                    path.extend_from_slice(name);
                }
            }
        }
        if path == b"/proc" || path.starts_with(b"/proc/") {
            // What is written to a file of it would end elsewhere (CVE-2019-19921).
            return Err(refuse("nothing can be mounted in /proc"));
        }
        if path.is_empty() {
            return Err(refuse("nothing can be mounted over the whole root"));
        }
        CString::new(path)
            .map(Self)
            .map_err(|_| refuse("holds a NUL byte"))
    }

    /// The path, beginning with `/`.
    pub fn as_c_str(&self) -> &CStr {
        &self.0
    }

    /// The same.
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(self.0.to_bytes()))
    }
}

/// What a mount shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountSource {
    /// A file or directory of the host: docker's bind mounts and named volumes.
    Bind(PathBuf),
    /// A new file system in memory.
    Tmpfs {
        /// Its largest size in bytes; half of the memory if none is given (`tmpfs(5)`).
        size_bytes: Option<u64>,
        /// The mode of its root.
        mode: u32,
        /// Whether programs in it may be executed.
        executable: bool,
    },
    /// What the image has there, writable whatever the root is, and gone with the instance:
    /// docker's anonymous volume.
    Anonymous,
}

/// Something mounted in the root file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// What.
    pub source: MountSource,
    /// Where; made if it is missing.
    pub target: MountPoint,
    /// Whether the command may not write to it.
    pub read_only: bool,
}

/// A device of the host's that the command may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its node on the host.
    pub source: PathBuf,
    /// Its node in the instance.
    pub target: MountPoint,
    /// What may be done.
    pub access: DeviceAccess,
}

/// docker's `rwm` of `--device`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceAccess {
    /// It may be read.
    pub read: bool,
    /// It may be written.
    pub write: bool,
    /// More nodes of it may be made.
    pub make: bool,
}

impl DeviceAccess {
    /// All three: docker's default.
    pub const ALL: Self = Self {
        read: true,
        write: true,
        make: true,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_point_is_below_the_root_and_stays_there() {
        for (given, expected) in [
            ("/a", Some("/a")),
            ("//a/./b/", Some("/a/b")),
            ("/a b/…", Some("/a b/…")),
            ("", None),
            ("a", None),
            ("/", None),
            ("/.", None),
            ("/a/../b", None),
            ("/proc", None),
            ("//proc/./self", None),
            ("/process", Some("/process")),
            ("/a\0", None),
        ] {
            let point = MountPoint::new(given.as_bytes()).ok();
            let path = point
                .as_ref()
                .map(|point| point.as_c_str().to_str().unwrap());
            assert_eq!(path, expected, "{given:?}");
        }
    }
}
