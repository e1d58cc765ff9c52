use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use launch::{Digest, Progress};
use rustix::fs::{OFlags, lgetxattr, llistxattr};
use sha2::{Digest as _, Sha256};

use super::survey::{Entry, Survey, SurveyError};

/// Largest list of extended attributes, and largest value, in bytes: `XATTR_LIST_MAX` and
/// `XATTR_SIZE_MAX`, `include/uapi/linux/limits.h`.
const XATTR_MAX_BYTES: usize = 65536;

/// Hashes everything that an image carries of the tree at `root`.
pub(super) fn digest(
    root: &Path,
    survey: &Survey,
    progress: &dyn Progress,
) -> Result<Digest, SurveyError> {
    let total = survey.entries.len() as u64;
    let mut hash = Fields(Sha256::new());
    // Names of one file: the first stands for its contents.
    let mut first_names = HashMap::new();
    let mut buffer = vec![0; XATTR_MAX_BYTES];
    for (index, Entry { path, metadata }) in survey.entries.iter().enumerate() {
        progress.advance(index as u64, total);
        let full = root.join(path);
        let failed = |source| SurveyError::new("read", &full, source);
        hash.bytes(path.as_os_str().as_bytes());
        let kind = metadata.file_type();
        if !kind.is_dir()
            && metadata.nlink() > 1
            && let Some(first) = first_names.insert(metadata.ino(), index)
        {
            first_names.insert(metadata.ino(), first);
            hash.number(first as u64);
            continue;
        }
        hash.number(u64::MAX);
        hash.number(metadata.mode().into());
        hash.number(metadata.uid().into());
        hash.number(metadata.gid().into());
        hash.number(metadata.mtime().cast_unsigned());
        hash.number(metadata.mtime_nsec().cast_unsigned());
        hash_xattrs(&mut hash, &full, &mut buffer).map_err(failed)?;
        if kind.is_symlink() {
            let target = fs::read_link(&full).map_err(failed)?;
            hash.bytes(target.as_os_str().as_bytes());
        } else if kind.is_char_device() || kind.is_block_device() {
            hash.number(metadata.rdev());
        } else if kind.is_file() {
            hash_file(&mut hash, &full, &mut buffer).map_err(failed)?;
        }
    }
    Ok(Digest::from_bytes(&hash.0.finalize()))
}

/// Fields one after the other, so that no two sequences of fields are the same bytes.
struct Fields(Sha256);

impl Fields {
    fn number(&mut self, number: u64) {
        self.0.update(number.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }
}

fn hash_xattrs(hash: &mut Fields, path: &Path, buffer: &mut [u8]) -> io::Result<()> {
    let length = match llistxattr(path, &mut *buffer) {
        Ok(length) => length,
        // A file system without attributes.
        Err(rustix::io::Errno::OPNOTSUPP) => 0,
        Err(errno) => return Err(errno.into()),
    };
    let mut names: Vec<Vec<u8>> = buffer[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(<[u8]>::to_vec)
        .collect();
    names.sort_unstable();
    hash.number(names.len() as u64);
    for name in names {
        let length = lgetxattr(path, name.as_slice(), &mut *buffer)?;
        hash.bytes(&name);
        hash.bytes(&buffer[..length]);
    }
    Ok(())
}

fn hash_file(hash: &mut Fields, path: &Path, buffer: &mut [u8]) -> io::Result<()> {
    // Should the name have become a link or a pipe since it was looked at, this neither follows
    // nor waits.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut file = File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    // A digest of its own: how long the file is, is known only when it ends.
    let mut contents = Sha256::new();
    loop {
        match file.read(buffer) {
            Ok(0) => break,
            Ok(count) => contents.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    hash.bytes(&contents.finalize());
    Ok(())
}
