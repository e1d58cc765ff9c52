//! Finding cgroups by their name: another program makes its own where it likes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::hierarchy::{read_file, under};
use super::mountinfo;
use super::tree::tree;

/// The cgroups called `name` in every hierarchy that is mounted. `root` is `/`, but in tests.
///
/// # Errors
///
/// When `/proc` or a hierarchy can't be read.
pub(crate) fn called(root: &Path, name: &str) -> Result<Vec<PathBuf>, Error> {
    let mounts = mountinfo::parse(&read_file(&root.join("proc/self/mountinfo"))?);
    let tops = mounts
        .iter()
        .filter_map(|mount| under(root, &mount.mount_point));
    let mut found = Vec::new();
    for top in tops {
        let all = tree(&top).map_err(|source| Error::Read { path: top, source })?;
        let is_called = |cgroup: &PathBuf| cgroup.file_name() == Some(OsStr::new(name));
        found.extend(all.into_iter().filter(is_called));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::fake_tree::FakeTree;
    use super::*;

    #[test]
    fn wherever_one_is_it_is_found_and_no_other() {
        let tree = FakeTree::new(
            &[
                "34 31 0:31 / /cg/freezer rw - cgroup cgroup rw,freezer",
                "35 31 0:32 / /cg/systemd rw - cgroup cgroup rw,name=systemd",
                "41 31 0:38 / /cg/unified rw - cgroup2 cgroup2 rw",
            ],
            &["4:freezer:/", "1:name=systemd:/a", "0::/b"],
        );
        let expected = ["cg/freezer/it", "cg/systemd/a/it", "cg/unified/c/d/it"];
        for dir in expected.into_iter().chain(["cg/freezer/item", "cg/it"]) {
            tree.dir(dir, &[]);
        }
        let found = called(tree.root(), "it").unwrap();
        assert_eq!(found, expected.map(|dir| tree.root().join(dir)));
    }
}
