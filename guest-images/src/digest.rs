//! The digest of a directory tree: what tells whether two roots are the same to what runs in
//! them.
//!
//! It covers everything that an image carries: names, kinds, modes, owners, modification times,
//! link targets, device numbers, extended attributes, contents, and which names are hard links
//! to one file. It does not depend on where the tree lies.
//!
//! Contents are read once. After that a [`fingerprint`] of the tree's metadata recalls the
//! digest from the cache: inode numbers, sizes, times, and above all the change time, which the
//! kernel moves at each change of a file or of its metadata and which nobody can set. What could
//! still fool it is excluded by never keeping the fingerprint of a tree that changed just now
//! ([`SETTLED_S`]), where a later change might fall into the same tick of the file system's
//! clock. What remains is a system clock that is set back, and a program that still writes to a
//! file through a mapping which it made before.

mod contents;
mod survey;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use launch::{Digest, Progress};

use crate::cache::{Cache, CacheError, Shelf};
use survey::Survey;
pub use survey::SurveyError;

/// How long ago the youngest change of a tree must be for its fingerprint to be believed later,
/// in seconds: more than the coarsest clock tick of any file system with Unix permissions.
const SETTLED_S: i64 = 3;

/// Why a tree has no digest.
#[derive(Debug, thiserror::Error)]
pub enum DigestError {
    /// A part of the tree can't be read.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// Somebody writes to the tree.
    #[error("{} changed while it was read", .0.display())]
    Changed(PathBuf),
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// What a tree is at a moment.
#[derive(Debug)]
pub(crate) struct TreeState {
    pub(crate) digest: Digest,
    /// Owner and group of every single entry, if it is one and the same.
    pub(crate) sole_owner: Option<(u32, u32)>,
}

/// The digest of the tree at `dir`, remembered in `cache`.
pub(crate) fn digest_of(
    dir: &Path,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<TreeState, DigestError> {
    let survey = Survey::of(dir)?;
    let sole_owner = survey.sole_owner();
    let fingerprint = survey.fingerprint();
    if let Some(digest) = recall(cache, fingerprint.as_str())? {
        return Ok(TreeState { digest, sole_owner });
    }
    progress.begin("reading the image");
    let digest = contents::digest(dir, &survey, progress);
    progress.end();
    let digest = digest?;
    if Survey::of(dir)?.fingerprint() != fingerprint {
        return Err(DigestError::Changed(dir.to_owned()));
    }
    if survey.newest_change_s() + SETTLED_S < now_s() {
        cache.get_or_make(Shelf::Digests, fingerprint.as_str(), progress, |path| {
            fs::write(path, digest.as_str())
                .map_err(|source| SurveyError::new("write", path, source))?;
            Ok::<_, DigestError>(())
        })?;
    }
    Ok(TreeState { digest, sole_owner })
}

/// The digest of a tree that nobody else writes to, read to its last byte.
pub(crate) fn digest_afresh(dir: &Path, progress: &dyn Progress) -> Result<Digest, DigestError> {
    Ok(contents::digest(dir, &Survey::of(dir)?, progress)?)
}

/// A digest that was written to a file; `None` if that holds anything else.
pub(crate) fn read_digest(path: &Path) -> Option<Digest> {
    fs::read_to_string(path).ok().as_deref().and_then(parse)
}

fn recall(cache: &Cache, fingerprint: &str) -> Result<Option<Digest>, CacheError> {
    let Some(path) = cache.find(Shelf::Digests, fingerprint) else {
        return Ok(None);
    };
    let digest = read_digest(&path);
    if digest.is_none() {
        // Cut short by a crash of the machine.
        cache.forget(Shelf::Digests, fingerprint)?;
    }
    Ok(digest)
}

/// Reads a digest as it was written, and nothing else.
fn parse(text: &str) -> Option<Digest> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(Digest::from_bytes(&bytes))
}

fn now_s() -> i64 {
    // Before 1970 nothing has settled.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs().cast_signed())
}

#[cfg(test)]
mod tests {
    use std::fs::{File, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::time::Duration;

    use launch::NoProgress;
    use rustix::fs::{XattrFlags, setxattr};
    use tempfile::TempDir;

    use super::*;

    fn cache_in(dir: &TempDir) -> Cache {
        Cache::new(dir.path().join("cache"), [])
    }

    fn tree() -> (TempDir, PathBuf) {
        let dir = TempDir::new().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("dir")).unwrap();
        fs::write(root.join("dir/file"), "contents").unwrap();
        fs::hard_link(root.join("dir/file"), root.join("name")).unwrap();
        symlink("dir/file", root.join("link")).unwrap();
        for path in ["dir/file", "dir", ""] {
            set_mtime(&root.join(path), 1);
        }
        (dir, root)
    }

    fn set_mtime(path: &Path, seconds: u64) {
        File::open(path)
            .unwrap()
            .set_modified(UNIX_EPOCH + Duration::from_secs(seconds))
            .unwrap();
    }

    /// Without what is no part of the test: the times of directories, and of the link.
    fn settle(root: &Path) {
        for path in ["dir", ""] {
            set_mtime(&root.join(path), 1);
        }
    }

    #[test]
    fn every_change_that_a_workload_could_see_changes_the_digest() {
        type Change = fn(&Path);
        let changes: &[(&str, Change)] = &[
            ("contents", |root| {
                fs::write(root.join("name"), "Contents").unwrap();
                set_mtime(&root.join("name"), 1);
            }),
            ("mode", |root| {
                fs::set_permissions(root.join("name"), Permissions::from_mode(0o4755)).unwrap();
            }),
            ("mtime", |root| set_mtime(&root.join("name"), 2)),
            ("a link's target", |root| {
                fs::remove_file(root.join("link")).unwrap();
                symlink("dir/fil", root.join("link")).unwrap();
            }),
            ("a hard link that became a copy", |root| {
                fs::remove_file(root.join("name")).unwrap();
                fs::copy(root.join("dir/file"), root.join("name")).unwrap();
                set_mtime(&root.join("name"), 1);
            }),
            ("a new name", |root| {
                fs::write(root.join("new"), "").unwrap()
            }),
            ("an empty directory", |root| {
                fs::create_dir(root.join("new")).unwrap()
            }),
            ("an attribute", |root| {
                setxattr(root.join("name"), "user.a", b"b", XattrFlags::empty()).unwrap();
            }),
        ];
        for (what, change) in changes {
            let (dir, root) = tree();
            let digest = || {
                settle(&root);
                digest_of(&root, &cache_in(&dir), &NoProgress)
                    .unwrap()
                    .digest
            };
            let before = digest();
            assert_eq!(digest(), before, "no change, but for times of change");
            change(&root);
            assert_ne!(digest(), before, "{what}");
        }
    }

    #[test]
    fn a_tree_that_changed_just_now_is_not_remembered_and_an_old_one_is() {
        let (dir, root) = tree();
        let cache = cache_in(&dir);
        digest_of(&root, &cache, &NoProgress).unwrap();
        assert!(
            !cache.dir().exists(),
            "remembered a tree that may still change unseen"
        );

        let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol");
        let first = digest_of(&old, &cache, &NoProgress).unwrap().digest;
        let fingerprint = Survey::of(&old).unwrap().fingerprint();
        assert_eq!(recall(&cache, fingerprint.as_str()).unwrap(), Some(first));
    }

    #[test]
    fn what_a_crash_cut_short_is_forgotten() {
        let (dir, _root) = tree();
        let cache = cache_in(&dir);
        for remembered in ["", "00", &"g".repeat(64), &"ä".repeat(32)] {
            fs::create_dir_all(cache.dir().join("digests")).unwrap();
            fs::write(cache.dir().join("digests/f"), remembered).unwrap();
            assert_eq!(recall(&cache, "f").unwrap(), None);
            assert_eq!(cache.find(Shelf::Digests, "f"), None);
        }
    }

    #[test]
    fn a_file_that_can_not_be_read_is_named() {
        if rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED a_file_that_can_not_be_read_is_named: root can read everything");
            return;
        }
        let (dir, root) = tree();
        fs::set_permissions(root.join("name"), Permissions::from_mode(0o0)).unwrap();
        let error = digest_of(&root, &cache_in(&dir), &NoProgress).unwrap_err();
        assert!(error.to_string().ends_with("/root/dir/file"), "{error}");
    }

    #[test]
    fn a_mount_within_the_tree_is_refused() {
        let dir = TempDir::new().unwrap();
        // /proc is always another file system than the root that it is mounted in.
        let error = digest_of(Path::new("/"), &cache_in(&dir), &NoProgress).unwrap_err();
        assert!(error.to_string().starts_with("can't use /"), "{error}");
    }
}
