//! The note, in an instance's directory, of the cgroups to be removed with it. It is written
//! before they are made, so that there is no moment at which they would be forgotten.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use launch::InstanceId;

use super::error::Error;
use crate::cgroup::plan;
use crate::whole_file;

const FILE: &str = "cgroups";

/// Writes down `cgroups`, each path ended by a NUL byte, the one that no path can hold.
pub(super) fn write<'a>(
    dir: &Path,
    cgroups: impl IntoIterator<Item = &'a Path>,
) -> Result<(), Error> {
    let mut bytes = Vec::new();
    for cgroup in cgroups {
        bytes.extend_from_slice(cgroup.as_os_str().as_bytes());
        bytes.push(0);
    }
    let path = dir.join(FILE);
    whole_file::write(&path, &bytes, 0o600).map_err(|source| Error::Record { path, source })
}

/// Forgets them.
pub(super) fn erase(dir: &Path) -> Result<(), Error> {
    let path = dir.join(FILE);
    match fs::remove_file(&path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(Error::Record { path, source }),
        _ => Ok(()),
    }
}

/// What was written down in the directory of instance `id`; nothing if nothing was.
///
/// # Errors
///
/// When it can't be read, or names what can't be a cgroup of this instance: whoever reads it is
/// about to kill and remove what it says.
pub(super) fn read(dir: &Path, id: &InstanceId) -> Result<Vec<PathBuf>, Error> {
    let path = dir.join(FILE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Error::Record { path, source }),
    };
    parse(&bytes, id).ok_or(Error::Damaged(path))
}

fn parse(bytes: &[u8], id: &InstanceId) -> Option<Vec<PathBuf>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let paths = bytes.strip_suffix(&[0])?.split(|&b| b == 0);
    paths
        .map(|bytes| {
            let path = Path::new(OsStr::from_bytes(bytes));
            let is_cgroup_of_ours = path.is_absolute()
                && path.file_name() == Some(OsStr::new(&plan::name(id)))
                && !path.components().any(|c| c == Component::ParentDir);
            is_cgroup_of_ours.then(|| path.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id() -> InstanceId {
        "web".parse().unwrap()
    }

    #[test]
    fn what_was_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path(), &id()).unwrap(), [] as [&Path; 0]);
        let cgroups = [Path::new("/a b/jaula-web"), Path::new("/c\n/jaula-web")];
        write(dir.path(), cgroups).unwrap();
        assert_eq!(read(dir.path(), &id()).unwrap(), cgroups);
        erase(dir.path()).unwrap();
        assert_eq!(read(dir.path(), &id()).unwrap(), [] as [&Path; 0]);
    }

    #[test]
    fn only_cgroups_of_the_instance_are_believed() {
        for bytes in [
            &b"/a/jaula-other\0"[..],
            b"/a/web\0",
            b"a/jaula-web\0",
            b"/a/../jaula-web\0",
            b"/a/jaula-web",
            b"/a/jaula-web\0\0",
            b"\0",
        ] {
            assert_eq!(parse(bytes, &id()), None, "{bytes:?}");
        }
        assert_eq!(
            parse(b"/a/jaula-web\0", &id()),
            Some(vec!["/a/jaula-web".into()])
        );
        assert_eq!(parse(b"", &id()), Some(vec![]));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes, &id());
        }
    }
}
