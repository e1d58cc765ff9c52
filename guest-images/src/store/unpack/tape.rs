//! The entries of a tar archive, one after the other: POSIX's (ustar and pax) and GNU's long names,
//! as Go's `archive/tar` reads them, which most layers were written by.
//!
//! Blocks are taken apart by the crate `tar`; the order of entries is followed here, because that
//! crate keeps names and attributes of any size in memory, and cuts values of attributes at line
//! feeds.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use rustix::fs::Timespec;
use tar::{EntryType, Header};

use super::pax::{self, InvalidPax, Pax};
use super::sparse::{self, SparseError, SparseMap};

const BLOCK_BYTES: u64 = 512;

/// Where a header has mode, user, group, size, time, and the two numbers of a device. Go takes one
/// that is blank for zero.
const NUMBERS: [Range<usize>; 7] = [
    100..108,
    108..116,
    116..124,
    124..136,
    136..148,
    329..337,
    337..345,
];

/// Largest name, or set of pax records, of an entry, in bytes: `maxSpecialFileSize` of Go's
/// `archive/tar`.
const MAX_EXTENSION_BYTES: u64 = 1 << 20;

/// Why an archive can't be read on.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    /// The stream failed, or ended early.
    #[error("it can't be read")]
    Read(#[from] io::Error),
    /// It is no header.
    #[error("a header is not well-formed")]
    Header(#[source] io::Error),
    /// Neither are its extensions.
    #[error(transparent)]
    Pax(#[from] InvalidPax),
    /// A name, or the attributes of an entry, would take too much memory.
    #[error("a name or the attributes of an entry have more than {MAX_EXTENSION_BYTES} bytes")]
    Extension,
    /// No archive of images has so many.
    #[error("it has too many files")]
    TooManyFiles,
    /// Its holes are not where holes can be.
    #[error("{path}")]
    Sparse {
        /// Its name.
        path: String,
        /// What is wrong.
        source: SparseError,
    },
    /// Of a file that is to be read from its place in the archive, holes are left out.
    #[error("it was written with holes left out (tar --sparse); write it again without")]
    SparseInside,
    /// The entry can't be represented.
    #[error("{path}: {what}")]
    Entry {
        /// Its name.
        path: String,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// What an entry is.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Kind {
    Directory,
    /// Its data follows, see [`Tape::data`].
    File,
    /// Of its data, those parts follow that are not zero.
    SparseFile(SparseMap),
    Symlink(Vec<u8>),
    /// To an entry that came before.
    HardLink(Vec<u8>),
    CharDevice {
        major: u32,
        minor: u32,
    },
    BlockDevice {
        major: u32,
        minor: u32,
    },
    Fifo,
}

/// A name and what it stands for.
#[derive(Debug)]
pub(in super::super) struct Entry {
    /// As it is written.
    pub(in super::super) path: Vec<u8>,
    pub(in super::super) kind: Kind,
    /// Permissions only.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: Timespec,
    /// Extended attributes.
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// An archive that is read forwards only.
pub(in super::super) struct Tape<R> {
    inner: R,
    /// Of the current entry's data, what was not read.
    data_left: u64,
    /// After the data, up to the next block.
    padding: u64,
    /// In the archive, in bytes.
    position: u64,
}

impl<R: Read> Tape<R> {
    pub(in super::super) fn new(inner: R) -> Self {
        Self {
            inner,
            data_left: 0,
            padding: 0,
            position: 0,
        }
    }

    /// The stream, which may go on after the archive's end.
    pub(super) fn into_inner(self) -> R {
        self.inner
    }

    /// The data of the current entry.
    pub(super) fn data(&mut self) -> Data<'_, R> {
        Data(self)
    }

    /// The next entry; `None` at the end.
    pub(in super::super) fn next(&mut self) -> Result<Option<Entry>, TapeError> {
        let mut pax = Pax::default();
        let mut long_name = None;
        let mut long_link = None;
        loop {
            self.skip()?;
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            let size = header.entry_size().map_err(TapeError::Header)?;
            match header.entry_type() {
                EntryType::XHeader => {
                    self.begin_data(size);
                    pax = pax::parse(&self.extension(size)?)?;
                }
                // Of the whole archive, as `git archive` writes them: nothing that matters here.
                EntryType::XGlobalHeader => self.begin_data(size),
                EntryType::GNULongName => {
                    self.begin_data(size);
                    long_name = Some(c_string(self.extension(size)?));
                }
                EntryType::GNULongLink => {
                    self.begin_data(size);
                    long_link = Some(c_string(self.extension(size)?));
                }
                _ => {
                    return self
                        .entry(&header, size, pax, long_name, long_link)
                        .map(Some);
                }
            }
        }
    }

    fn entry(
        &mut self,
        header: &Header,
        size: u64,
        pax: Pax,
        long_name: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
    ) -> Result<Entry, TapeError> {
        let path = pax
            .path
            .or(long_name)
            .unwrap_or_else(|| header.path_bytes().into_owned());
        let wrong = |what| TapeError::Entry {
            path: super::shown(&path),
            what,
        };
        let link = || {
            pax.link
                .clone()
                .or_else(|| long_link.clone())
                .or_else(|| header.link_name_bytes().map(|link| link.into_owned()))
                .ok_or_else(|| wrong("it links to nothing"))
        };
        let device = || -> Result<(u32, u32), TapeError> {
            let number = |number: io::Result<Option<u32>>| {
                number
                    .ok()
                    .flatten()
                    .ok_or_else(|| wrong("it has no device number"))
            };
            Ok((
                number(header.device_major())?,
                number(header.device_minor())?,
            ))
        };
        let kind = match header.entry_type() {
            EntryType::Directory => Kind::Directory,
            // Archives from before ustar tell directories by the slash.
            EntryType::Regular if path.ends_with(b"/") => Kind::Directory,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Kind::File,
            EntryType::Symlink => Kind::Symlink(link()?),
            EntryType::Link => Kind::HardLink(link()?),
            EntryType::Char => {
                let (major, minor) = device()?;
                Kind::CharDevice { major, minor }
            }
            EntryType::Block => {
                let (major, minor) = device()?;
                Kind::BlockDevice { major, minor }
            }
            EntryType::Fifo => Kind::Fifo,
            _ => return Err(wrong("nothing is known of its type")),
        };
        let size = pax.size.unwrap_or(size);
        let id = |id: u64| {
            // -1 in chown(2) means "leave as it is".
            u32::try_from(id)
                .ok()
                .filter(|id| *id != u32::MAX)
                .ok_or_else(|| wrong("its owner is no user that Linux can have"))
        };
        let field = |value: io::Result<u64>| value.map_err(TapeError::Header);
        let mtime = match pax.mtime {
            Some(mtime) => mtime,
            None => Timespec {
                tv_sec: header.mtime().map_err(TapeError::Header)?.cast_signed(),
                tv_nsec: 0,
            },
        };
        let mut entry = Entry {
            mode: header.mode().map_err(TapeError::Header)? & 0o7777,
            uid: id(pax.uid.map_or_else(|| field(header.uid()), Ok)?)?,
            gid: id(pax.gid.map_or_else(|| field(header.gid()), Ok)?)?,
            mtime,
            xattrs: pax.xattrs,
            kind,
            path,
        };
        if entry.kind == Kind::File {
            let map = self.begin_file(header, size, pax.sparse);
            let map = map.map_err(|source| TapeError::Sparse {
                path: super::shown(&entry.path),
                source,
            })?;
            if let Some(map) = map {
                entry.kind = Kind::SparseFile(map);
            }
        } else {
            // The others have none, whatever their header says.
            self.begin_data(0);
        }
        Ok(entry)
    }

    /// Begins the data of a file, of which `size` bytes are here; if those are not all of it, says
    /// where they go.
    fn begin_file(
        &mut self,
        header: &Header,
        size: u64,
        records: Option<sparse::Records>,
    ) -> Result<Option<SparseMap>, SparseError> {
        if header.entry_type() == EntryType::GNUSparse {
            let map = sparse::of_header(header, size, |block| {
                self.inner.read_exact(block)?;
                self.position += block.len() as u64;
                Ok(())
            })?;
            self.begin_data(size);
            return Ok(Some(map));
        }
        self.begin_data(size);
        let map = records.map(|records| records.map(size, &mut self.data()));
        map.transpose()
    }

    /// The next block, unless it is one of the zeros that end an archive.
    fn header(&mut self) -> Result<Option<Header>, TapeError> {
        let mut block = [0; BLOCK_BYTES as usize];
        let mut filled = 0;
        while filled < block.len() {
            match self.inner.read(&mut block[filled..]) {
                // Some archives just end.
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(count) => {
                    filled += count;
                    self.position += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        // The sum with blanks in its own place, POSIX.1-2017, pax, "ustar Interchange Format".
        let sum: u32 = block
            .iter()
            .enumerate()
            .map(|(at, byte)| {
                if (148..156).contains(&at) {
                    32
                } else {
                    u32::from(*byte)
                }
            })
            .sum();
        for field in NUMBERS {
            if block[field.clone()]
                .iter()
                .all(|byte| matches!(byte, 0 | b' '))
            {
                block[field.start] = b'0';
            }
        }
        let header = Header::from_byte_slice(&block).clone();
        if header.cksum().map_err(TapeError::Header)? != sum {
            return Err(TapeError::Header(io::Error::other("its checksum is wrong")));
        }
        Ok(Some(header))
    }

    fn begin_data(&mut self, size: u64) {
        self.data_left = size;
        self.padding = size.wrapping_neg() % BLOCK_BYTES;
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>, TapeError> {
        if size > MAX_EXTENSION_BYTES {
            return Err(TapeError::Extension);
        }
        let mut bytes = Vec::new();
        self.data().read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// To the next block after the current entry's data.
    fn skip(&mut self) -> Result<(), TapeError> {
        io::copy(&mut self.data(), &mut io::sink())?;
        let padding = std::mem::take(&mut self.padding);
        let mut block = [0; BLOCK_BYTES as usize];
        let padding = usize::try_from(padding).unwrap_or_default();
        match self.inner.read_exact(&mut block[..padding]) {
            // umoci 0.4 leaves away what is after the last file: its digest tells that it is all.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            result => result?,
        }
        self.position += padding as u64;
        Ok(())
    }
}

impl<R: Read + Seek> Tape<R> {
    /// Goes on behind the data of the current entry, and says where it is in the archive: its
    /// offset and length, which may be longer than the archive.
    pub(in super::super) fn pass_over_data(&mut self) -> io::Result<(u64, u64)> {
        let data = (self.position, self.data_left);
        let step = self.data_left.checked_add(self.padding);
        let end = step.and_then(|step| self.position.checked_add(step));
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        self.inner.seek(SeekFrom::Start(end))?;
        (self.data_left, self.padding, self.position) = (0, 0, end);
        Ok(data)
    }
}

/// The data of an entry. That it ends early is an error.
pub(super) struct Data<'a, R>(&'a mut Tape<R>);

impl<R: Read> Read for Data<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.0.data_left).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let count = self.0.inner.read(&mut buffer[..most])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.0.data_left -= count as u64;
        self.0.position += count as u64;
        Ok(count)
    }
}

/// GNU's names end with a zero.
fn c_string(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    bytes
}
