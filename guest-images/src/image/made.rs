//! Images that are made here, once, and kept in the cache with their digests.

use std::path::{Path, PathBuf};

use launch::{Digest, Progress};

use super::tree::{self, FileError};
use crate::cache::{Cache, CacheError, Shelf};
use crate::digest::{self, DigestError};

/// The image's directory in its place in the cache.
const ROOT: &str = "rootfs";

/// The file beside it that holds its digest.
const DIGEST: &str = "digest";

/// What the root of an image of one program has besides: directories with their modes, and files.
pub(super) const BARE_DIRECTORIES: &[(&str, u32)] = &[
    ("dev", 0o755),
    ("etc", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("sys", 0o755),
    ("tmp", 0o1777),
];
pub(super) const BARE_FILES: &[(&str, &str)] = &[
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
    ),
    ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
];

/// The directory with the image that has this name in the cache, and its digest. `make` makes it, in
/// a directory that is not there yet, if it was not made before.
///
/// Nobody writes to what is in the cache, so the digest is kept beside the image, whose files are not
/// looked at again in each launch.
pub(super) fn once<E>(
    cache: &Cache,
    name: &Digest,
    progress: &dyn Progress,
    make: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(PathBuf, Digest), E>
where
    E: From<CacheError> + From<FileError> + From<DigestError>,
{
    let dir = cache.get_or_make(Shelf::Images, name.as_str(), progress, |dir| {
        let root = dir.join(ROOT);
        make(&root)?;
        let digest = digest::digest_afresh(&root, progress)?;
        tree::write(&dir.join(DIGEST), digest.as_str().as_bytes(), 0o644)?;
        Ok::<_, E>(())
    })?;
    let root = dir.join(ROOT);
    let digest = match digest::read_digest(&dir.join(DIGEST)) {
        Some(digest) => digest,
        // Whatever became of that file, the image itself can be asked.
        None => digest::digest_afresh(&root, progress)?,
    };
    Ok((root, digest))
}
