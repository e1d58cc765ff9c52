//! A layer's bytes on their way: counted and hashed as they come, decompressed whatever they are
//! compressed with, counted and hashed again.

use std::cell::RefCell;
use std::io::{self, BufReader, Chain, Cursor, Read};
use std::rc::Rc;

use super::LayerBlob;
use super::blob_digest::{BlobDigest, BlobHasher};
use super::limits::Budget;
use flate2::read::MultiGzDecoder;
use launch::Progress;

/// RFC 1952, section 2.3.1.
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];

/// RFC 8878, section 3.1.1.
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Of a zstd frame, as a power of two: the least that every decoder must have, 8 MiB, times 16.
/// `zstd --long` makes frames of this size, and none that are larger unless it is told to.
const ZSTD_MAX_WINDOW_LOG: u32 = 27;

const BUFFER_BYTES: usize = 128 << 10;

/// What was read so far.
struct Seen {
    hash: BlobHasher,
    bytes: u64,
}

impl Seen {
    /// To be compared with `promised`.
    fn nothing(promised: BlobDigest) -> Self {
        Self {
            hash: promised.hasher(),
            bytes: 0,
        }
    }
}

/// Hashes what passes.
struct Hashing<R> {
    inner: R,
    seen: Rc<RefCell<Seen>>,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let mut seen = self.seen.borrow_mut();
        seen.hash.update(&buffer[..count]);
        seen.bytes += count as u64;
        Ok(count)
    }
}

/// Tells how far the blob was read.
struct Watched<'a> {
    inner: &'a mut dyn Read,
    progress: &'a dyn Progress,
    done: u64,
    total: u64,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.done += count as u64;
        self.progress.advance(self.done.min(self.total), self.total);
        Ok(count)
    }
}

/// No more than the budget has.
pub(super) struct Budgeted<'a, R> {
    inner: R,
    budget: &'a Budget,
}

impl<'a, R> Budgeted<'a, R> {
    pub(super) fn new(inner: R, budget: &'a Budget) -> Self {
        Self { inner, budget }
    }
}

impl<R: Read> Read for Budgeted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.budget
            .take_bytes(count as u64)
            .map_err(io::Error::other)?;
        Ok(count)
    }
}

/// The uncompressed bytes of a blob.
pub(super) struct LayerStream<'a> {
    tar: Hashing<Budgeted<'a, Box<dyn Read + 'a>>>,
    /// What is left of the blob when its decoder is done.
    rest: Shared<BufReader<Hashing<Watched<'a>>>>,
    blob: Rc<RefCell<Seen>>,
}

/// What a blob turned out to be.
pub(super) struct Digests {
    /// Of the blob as it came.
    pub(super) blob: BlobDigest,
    /// Of the blob as it came, in bytes.
    pub(super) blob_bytes: u64,
    /// Of the uncompressed layer.
    pub(super) diff_id: BlobDigest,
    /// Of the uncompressed layer, in bytes.
    pub(super) bytes: u64,
}

/// A reader that its decoder need not give back.
struct Shared<R>(Rc<RefCell<R>>);

impl<R: Read> Read for Shared<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buffer)
    }
}

impl<'a> LayerStream<'a> {
    /// Its digests are to be compared with those that are `promised`.
    pub(super) fn new(
        blob: &'a mut dyn Read,
        promised: &LayerBlob,
        budget: &'a Budget,
        progress: &'a dyn Progress,
    ) -> io::Result<Self> {
        let nothing = |promised| Rc::new(RefCell::new(Seen::nothing(promised)));
        let seen = nothing(promised.digest.unwrap_or(promised.diff_id));
        let hashing = Hashing {
            inner: Watched {
                inner: blob,
                progress,
                done: 0,
                total: promised.size,
            },
            seen: Rc::clone(&seen),
        };
        let shared = Rc::new(RefCell::new(BufReader::with_capacity(
            BUFFER_BYTES,
            hashing,
        )));
        let inner = decoder(Shared(Rc::clone(&shared)))?;
        Ok(Self {
            tar: Hashing {
                inner: Budgeted::new(inner, budget),
                seen: nothing(promised.diff_id),
            },
            rest: Shared(shared),
            blob: seen,
        })
    }

    /// Reads what is left, which must be part of the digests, and tells them.
    pub(super) fn finish(mut self) -> io::Result<Digests> {
        io::copy(&mut self.tar, &mut io::sink())?;
        io::copy(&mut self.rest, &mut io::sink())?;
        let (blob, tar) = (self.blob.borrow(), self.tar.seen.borrow());
        Ok(Digests {
            blob: blob.hash.digest(),
            blob_bytes: blob.bytes,
            diff_id: tar.hash.digest(),
            bytes: tar.bytes,
        })
    }
}

impl Read for LayerStream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.tar.read(buffer)
    }
}

/// Whether what begins so is compressed in a way that [`decoder`] knows.
pub(super) fn is_compressed(beginning: &[u8]) -> bool {
    beginning.starts_with(GZIP_MAGIC) || beginning.starts_with(ZSTD_MAGIC)
}

/// What decompresses `blob`, which is told by its first bytes: media types are often wrong.
pub(super) fn decoder<'a>(mut blob: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut magic = Vec::new();
    blob.by_ref()
        .take(ZSTD_MAGIC.len() as u64)
        .read_to_end(&mut magic)?;
    let is_gzip = magic.starts_with(GZIP_MAGIC);
    let is_zstd = magic == ZSTD_MAGIC;
    let whole: Chain<Cursor<Vec<u8>>, _> = Cursor::new(magic).chain(blob);
    Ok(if is_gzip {
        Box::new(MultiGzDecoder::new(whole))
    } else if is_zstd {
        let mut decoder =
            zstd::Decoder::with_buffer(BufReader::with_capacity(BUFFER_BYTES, whole))?;
        decoder.window_log_max(ZSTD_MAX_WINDOW_LOG)?;
        Box::new(decoder)
    } else {
        Box::new(whole)
    })
}
