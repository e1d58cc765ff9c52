use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A directory that somebody hostile gets at, with another beside it that must stay as it is.
pub(super) struct Cage {
    dir: TempDir,
    before: Vec<Look>,
}

/// A directory in memory, where the host has a place for that: nothing is written to a disk.
pub(super) fn in_memory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let dir = match memory.is_dir() {
        true => TempDir::new_in(memory),
        false => TempDir::new(),
    };
    dir.expect("a directory")
}

/// Removes a directory, if it is there, whatever the permissions in it are by now.
pub(super) fn remove(dir: &Path) -> io::Result<()> {
    match fs::set_permissions(dir, Permissions::from_mode(0o755)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        result => result?,
    }
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => remove(&entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    fs::remove_dir(dir)
}

/// All by which a change of a file would be noticed.
#[derive(Debug, PartialEq, Eq)]
struct Look {
    inode: u64,
    mode: u32,
    owner: (u32, u32),
    links: u64,
    bytes: u64,
    modified: (i64, i64),
    /// Of its attributes, too.
    changed: (i64, i64),
}

/// What must not be changed, from the directory with the cage on.
const OUTSIDE: [&str; 3] = ["", "outside", "outside/secret"];

impl Cage {
    pub(super) fn new() -> Self {
        let dir = in_memory();
        fs::create_dir(dir.path().join("inside")).expect("a directory");
        fs::create_dir(dir.path().join("outside")).expect("a directory");
        fs::write(dir.path().join("outside/secret"), "secret").expect("a file");
        let mut cage = Self {
            dir,
            before: Vec::new(),
        };
        cage.before = cage.look();
        cage
    }

    /// Where the hostile may do what they like.
    pub(super) fn inside(&self) -> PathBuf {
        self.dir.path().join("inside")
    }

    /// Panics if anything was changed but in there.
    pub(super) fn assert_untouched(&self) {
        assert_eq!(self.look(), self.before, "something outside was changed");
    }

    fn look(&self) -> Vec<Look> {
        let of = |name| {
            let found = fs::symlink_metadata(self.dir.path().join(name)).expect("to be there");
            Look {
                inode: found.ino(),
                mode: found.mode(),
                owner: (found.uid(), found.gid()),
                links: found.nlink(),
                bytes: found.len(),
                modified: (found.mtime(), found.mtime_nsec()),
                changed: (found.ctime(), found.ctime_nsec()),
            }
        };
        OUTSIDE.into_iter().map(of).collect()
    }
}
