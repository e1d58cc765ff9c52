//! The files of an archive, or of a directory, by their names.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use entry::open_in_root;
use rustix::fs::{OFlags, ResolveFlags};
use rustix::io::Errno;

use super::super::stream;
use super::super::unpack::tape::{Kind, Tape};
use super::{ArchiveError, TapeError};

/// Most files that an archive may have: a layer has one to three, and an image 127 layers.
const MAX_FILES: usize = 100_000;

/// Most links from name to name that are followed: docker's older archives have one.
const MAX_LINKS: usize = 8;

/// Where images lie in.
pub(super) enum Files {
    /// In a directory, which no name leads out of.
    Dir(OwnedFd),
    /// In a tar archive that is not compressed.
    Archive {
        file: File,
        entries: HashMap<Vec<u8>, Place>,
    },
}

/// Where a file lies in an archive.
pub(super) enum Place {
    At { offset: u64, size: u64 },
    Link(Vec<u8>),
}

/// A file that is being read.
pub(super) struct Section<'a> {
    pub(super) reader: Box<dyn Read + 'a>,
    /// In bytes; a directory's may change.
    pub(super) size: u64,
}

/// Whether it is a regular file, read from nowhere yet, that is not compressed.
pub(super) fn can_be_read_anywhere(file: &File) -> io::Result<bool> {
    if !file.metadata()?.is_file() || (&*file).stream_position()? != 0 {
        return Ok(false);
    }
    let mut magic = [0; 4];
    let count = file.read_at(&mut magic, 0)?;
    Ok(!stream::is_compressed(&magic[..count]))
}

impl Files {
    pub(super) fn of_dir(dir: OwnedFd) -> Self {
        Self::Dir(dir)
    }

    pub(super) fn of_archive(mut file: File) -> Result<Self, ArchiveError> {
        file.rewind().map_err(TapeError::Read)?;
        let mut entries = HashMap::new();
        let mut tape = Tape::new(BufReader::new(&file));
        while let Some(entry) = tape.next()? {
            let place = match entry.kind {
                Kind::File => {
                    let (offset, size) = tape.pass_over_data().map_err(TapeError::Read)?;
                    Place::At { offset, size }
                }
                Kind::Symlink(target) => Place::Link(resolve(&entry.path, &target)),
                Kind::HardLink(target) => Place::Link(clean(&target)),
                Kind::SparseFile(_) => return Err(TapeError::SparseInside.into()),
                _ => continue,
            };
            if entries.len() == MAX_FILES {
                return Err(TapeError::TooManyFiles.into());
            }
            entries.insert(clean(&entry.path), place);
        }
        drop(tape);
        Ok(Self::Archive { file, entries })
    }

    /// The file of that name, if it is there.
    pub(super) fn open(&self, path: &str) -> Result<Option<Section<'_>>, ArchiveError> {
        let failed = |source| ArchiveError::Read {
            path: path.into(),
            source,
        };
        match self {
            Self::Dir(dir) => open_in_dir(dir, path).map_err(failed),
            Self::Archive { file, entries } => {
                let mut name = clean(path.as_bytes());
                for _ in 0..=MAX_LINKS {
                    match entries.get(&name) {
                        None => return Ok(None),
                        Some(Place::Link(target)) => name.clone_from(target),
                        Some(Place::At { offset, size }) => {
                            let reader = Box::new(Part {
                                file,
                                offset: *offset,
                                left: *size,
                            });
                            return Ok(Some(Section {
                                reader,
                                size: *size,
                            }));
                        }
                    }
                }
                Err(failed(Errno::LOOP.into()))
            }
        }
    }

    /// The file of that name, which must be there.
    pub(super) fn must_have(&self, path: &str) -> Result<Section<'_>, ArchiveError> {
        self.open(path)?
            .ok_or_else(|| ArchiveError::Missing(path.to_owned()))
    }
}

fn open_in_dir(dir: &OwnedFd, path: &str) -> io::Result<Option<Section<'static>>> {
    // A pipe is not waited for.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file: File = match open_in_root(dir, path, flags, ResolveFlags::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        opened => opened?.into(),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a regular file",
        ));
    }
    Ok(Some(Section {
        size: metadata.len(),
        reader: Box::new(file),
    }))
}

/// Some of a file.
struct Part<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let count = self.file.read_at(&mut buffer[..most], self.offset)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

/// A name in one form. It is only ever compared with others, so it may be anything.
fn clean(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

/// What a symbolic link at `path` leads to.
fn resolve(path: &[u8], target: &[u8]) -> Vec<u8> {
    if target.starts_with(b"/") {
        return clean(target);
    }
    let dir_end = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    clean(&[&path[..dir_end], b"/", target].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_resolved_in_the_archive() {
        for (path, target, expected) in [
            ("a/layer.tar", "../b/layer.tar", "b/layer.tar"),
            ("a", "b", "b"),
            ("a/b/c", "/d", "d"),
            ("./a/b", "../../../../etc/passwd", "etc/passwd"),
        ] {
            let resolved = resolve(path.as_bytes(), target.as_bytes());
            assert_eq!(String::from_utf8(resolved).unwrap(), expected);
        }
    }
}
