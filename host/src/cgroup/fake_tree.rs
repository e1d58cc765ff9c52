//! A host's `/proc` and `/sys/fs/cgroup` in a temporary directory, for tests.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::hierarchy::Hierarchies;

pub(crate) struct FakeTree {
    root: TempDir,
}

impl FakeTree {
    /// A host with these lines in `/proc/self/mountinfo` and `/proc/self/cgroup`.
    pub fn new(mounts: &[&str], cgroups: &[&str]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let proc = root.path().join("proc/self");
        fs::create_dir_all(&proc).unwrap();
        fs::write(proc.join("mountinfo"), mounts.join("\n")).unwrap();
        fs::write(proc.join("cgroup"), cgroups.join("\n")).unwrap();
        Self { root }
    }

    /// A host with version 2 alone, on which we are in `own`.
    pub fn v2(own: &str) -> Self {
        Self::new(
            &["30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"],
            &[&format!("0::{own}")],
        )
    }

    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Makes a directory with these files, at a path from the root.
    pub fn dir(&self, path: &str, files: &[(&str, &str)]) -> PathBuf {
        let dir = self.root().join(path);
        fs::create_dir_all(&dir).unwrap();
        for (name, text) in files {
            fs::write(dir.join(name), text).unwrap();
        }
        dir
    }

    /// Makes a cgroup of version 2, at a path from the topmost, which is the hierarchy's root.
    pub fn cgroup(&self, path: &str, controllers: &str, handed_down: &str, procs: &str) -> PathBuf {
        let dir = self.dir(
            &format!("sys/fs/cgroup/{path}"),
            &[
                ("cgroup.controllers", controllers),
                ("cgroup.subtree_control", handed_down),
                ("cgroup.procs", procs),
            ],
        );
        if !path.is_empty() {
            fs::write(dir.join("cgroup.type"), "domain\n").unwrap();
        }
        dir
    }

    pub fn hierarchies(&self) -> Hierarchies {
        Hierarchies::read(self.root()).unwrap()
    }
}
