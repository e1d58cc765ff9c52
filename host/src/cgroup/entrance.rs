use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::error::Error;
use super::hierarchy::Version;

/// The way into a cgroup for a child process that was just forked.
///
/// It is opened by the parent and used by the child, before that becomes another user, enters
/// namespaces or has a second thread.
#[derive(Debug)]
pub struct Entrance {
    files: Vec<File>,
}

impl Entrance {
    pub(super) fn open<'a>(
        dirs: impl IntoIterator<Item = (Version, &'a Path)>,
    ) -> Result<Self, Error> {
        let files = dirs.into_iter().map(|(version, dir)| {
            let path = dir.join(match version {
                // A thread that moves itself alone needs no lock on fork and exit of the whole
                // host (cgroup_threadgroup_rwsem): some 40 us in place of milliseconds.
                Version::V1 => "tasks",
                // There is no such file here; CLONE_INTO_CGROUP is what spares the lock.
                Version::V2 => "cgroup.procs",
            });
            let opened = File::options().write(true).open(&path);
            opened.map_err(|source| Error::Open { path, source })
        });
        Ok(Self {
            files: files.collect::<Result<_, _>>()?,
        })
    }

    /// Moves the calling process into the cgroup. It must have one thread only.
    ///
    /// Does nothing but write(2), so a forked child of a process with threads may call it.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn enter(&self) -> io::Result<()> {
        for mut file in &self.files {
            // 0 stands for whoever writes it.
            file.write_all(b"0")?;
        }
        Ok(())
    }
}
