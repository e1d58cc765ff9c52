//! A cgroup with those below it, some of which may go meanwhile.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use nix::errno::Errno;

/// A cgroup that is removed while one of its files is open answers with ENODEV.
pub(super) fn is_gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(Errno::ENODEV as i32)
}

/// `dir` and the cgroups below it, each before its children; empty if it is gone. A workload
/// can make some, in a user namespace where it mounts the cgroup file system itself.
pub(super) fn tree(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(cgroup) = open.pop() {
        match children(&cgroup) {
            Ok(children) => open.extend(children),
            Err(error) if is_gone(&error) => continue,
            Err(error) => return Err(error),
        }
        found.push(cgroup);
    }
    Ok(found)
}

fn children(cgroup: &Path) -> io::Result<Vec<PathBuf>> {
    let mut children = Vec::new();
    for entry in fs::read_dir(cgroup)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            children.push(entry.path());
        }
    }
    Ok(children)
}
