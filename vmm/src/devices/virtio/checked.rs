//! The checked view of guest memory: the only way in which a device touches a guest's buffers.
//!
//! The threat: a descriptor is an address and a length that the guest chose, and a chain of them
//! may point outside of memory, wrap around, run in a circle, or be changed while it is read. A
//! [`Chain`] shows none of that. What can be had from it are ranges that were proven to be guest
//! memory, as volatile slices that borrow it. Descriptors are read once: a guest that changes
//! them later changes nothing.

use std::fs::File;
use std::io;
use std::mem;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use virtio_queue::DescriptorChain;
use virtio_queue::desc::split::Descriptor;
use vm_memory::{GuestMemory as _, GuestMemoryError, Permissions, VolatileSlice};

use crate::memory::GuestMemory;

/// Why a chain is not used.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// It ends within itself: a circle, a descriptor that can't be read or that does not exist,
    /// an indirect table that is none, or more than 4 GiB in total.
    #[error("a descriptor chain has no proper end")]
    Endless,
    /// Longer than the queue, which virtio 1.2 forbids for indirect ones too (section 2.7.5.3).
    #[error("a descriptor chain is longer than its queue")]
    TooManyDescriptors,
    /// A buffer for the device to read stands behind one for it to write (section 2.7.4.2).
    #[error("a descriptor chain is out of order")]
    OutOfOrder,
    /// A buffer is not, or not wholly, in guest memory.
    #[error("a descriptor points outside of guest memory")]
    OutsideMemory(#[from] GuestMemoryError),
}

/// A buffer has fewer bytes than are needed of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a buffer is too short")]
pub struct TooShort;

impl From<TooShort> for io::Error {
    fn from(error: TooShort) -> Self {
        Self::other(error)
    }
}

/// A descriptor chain that was taken from a queue and is not looked at yet.
pub struct Chain<'m> {
    raw: DescriptorChain<&'m GuestMemory>,
    memory: &'m GuestMemory,
    max_descriptors: u16,
}

impl<'m> Chain<'m> {
    pub(super) fn new(
        raw: DescriptorChain<&'m GuestMemory>,
        memory: &'m GuestMemory,
        max_descriptors: u16,
    ) -> Self {
        Self {
            raw,
            memory,
            max_descriptors,
        }
    }

    /// All of the chain's buffers, whatever way the driver has cut them.
    ///
    /// # Errors
    ///
    /// When one of them can't be used; then none is.
    pub fn buffers(self) -> Result<Buffers<'m>, ChainError> {
        let memory = self.memory;
        let mut buffers = Buffers::default();
        for descriptor in Descriptors::of(self) {
            let descriptor = descriptor?;
            let (permission, target) = match descriptor.is_write_only() {
                true => (Permissions::Write, &mut buffers.writable.0),
                false if buffers.writable.bytes() > 0 => return Err(ChainError::OutOfOrder),
                false => (Permissions::Read, &mut buffers.readable.0),
            };
            let length = descriptor.len() as usize;
            for slice in memory.get_slices(descriptor.addr(), length, permission)? {
                target.0.push(slice?);
            }
        }
        Ok(buffers)
    }
}

/// The descriptors of a chain, up to its proper end.
struct Descriptors<'m> {
    chain: Chain<'m>,
    seen: u16,
    at_end: bool,
}

impl<'m> Descriptors<'m> {
    fn of(chain: Chain<'m>) -> Self {
        Self {
            chain,
            seen: 0,
            at_end: false,
        }
    }
}

impl Iterator for Descriptors<'_> {
    type Item = Result<Descriptor, ChainError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at_end {
            return None;
        }
        // `DescriptorChain` just stops at what it can't follow, so the last descriptor tells
        // whether that was the end.
        let descriptor = match self.chain.raw.next() {
            None => Err(ChainError::Endless),
            Some(_) if self.seen == self.chain.max_descriptors => {
                Err(ChainError::TooManyDescriptors)
            }
            Some(descriptor) => Ok(descriptor),
        };
        self.seen += 1;
        self.at_end = !matches!(&descriptor, Ok(descriptor) if descriptor.has_next());
        Some(descriptor)
    }
}

/// The buffers of one chain.
#[derive(Default)]
pub struct Buffers<'m> {
    /// What the driver has written for the device.
    pub readable: Readable<'m>,
    /// Where the device writes its answer.
    pub writable: Writable<'m>,
}

/// Guest memory in pieces, in the order in which it is used.
#[derive(Clone, Default)]
struct Pieces<'m>(Vec<VolatileSlice<'m>>);

impl Pieces<'_> {
    fn bytes(&self) -> u32 {
        // A chain has at most 4 GiB, which `DescriptorChain` counts in as many bits.
        self.0.iter().map(|piece| piece.len() as u32).sum()
    }

    fn split_at(self, bytes: u32) -> Result<(Self, Self), TooShort> {
        let mut missing = bytes as usize;
        let (mut first, mut second) = (Self::default(), Self::default());
        for piece in self.0 {
            let (front, back) = piece
                .split_at(missing.min(piece.len()))
                .map_err(|_| TooShort)?;
            missing -= front.len();
            first.0.extend((!front.is_empty()).then_some(front));
            second.0.extend((!back.is_empty()).then_some(back));
        }
        match missing {
            0 => Ok((first, second)),
            _ => Err(TooShort),
        }
    }

    /// Lets `call`, a system call that copies, work on the first pieces; how many bytes it has
    /// copied.
    fn copy_by(&self, call: impl FnOnce(&[libc::iovec]) -> libc::ssize_t) -> io::Result<u32> {
        self.copy_behind(&[], call)
    }

    /// The same with `first` before the pieces, for `call` to read only.
    fn copy_behind(
        &self,
        first: &[u8],
        call: impl FnOnce(&[libc::iovec]) -> libc::ssize_t,
    ) -> io::Result<u32> {
        let first = (!first.is_empty()).then(|| libc::iovec {
            iov_base: first.as_ptr().cast_mut().cast(),
            iov_len: first.len(),
        });
        let guards: Vec<_> = self
            .0
            .iter()
            .take(libc::UIO_MAXIOV as usize - usize::from(first.is_some()))
            .map(VolatileSlice::ptr_guard_mut)
            .collect();
        let pieces = guards.iter().map(|guard| libc::iovec {
            iov_base: guard.as_ptr().cast(),
            iov_len: guard.len(),
        });
        let vectors: Vec<_> = first.into_iter().chain(pieces).collect();
        // Negative on an error, else at most the sum of the lengths.
        u32::try_from(call(&vectors)).map_err(|_| io::Error::last_os_error())
    }
}

/// Guest memory that a device may read.
#[derive(Clone, Default)]
pub struct Readable<'m>(Pieces<'m>);

impl Readable<'_> {
    /// Its size in bytes.
    pub fn bytes(&self) -> u32 {
        self.0.bytes()
    }

    /// Cuts it in two, the first with `bytes` bytes.
    ///
    /// # Errors
    ///
    /// When it has fewer.
    pub fn split_at(self, bytes: u32) -> Result<(Self, Self), TooShort> {
        let (first, second) = self.0.split_at(bytes)?;
        Ok((Self(first), Self(second)))
    }

    /// Copies the first bytes out, as many as `bytes` takes.
    ///
    /// # Errors
    ///
    /// When there are fewer.
    pub fn copy_to(&self, mut bytes: &mut [u8]) -> Result<(), TooShort> {
        for piece in &self.0.0 {
            let copied = piece.copy_to(bytes);
            bytes = &mut bytes[copied..];
        }
        if bytes.is_empty() {
            Ok(())
        } else {
            Err(TooShort)
        }
    }

    /// Copies it all to the end of `bytes`.
    pub fn append_to(&self, bytes: &mut Vec<u8>) {
        for piece in &self.0.0 {
            let start = bytes.len();
            bytes.resize(start + piece.len(), 0);
            piece.copy_to(&mut bytes[start..]);
        }
    }

    /// Writes as much as `file` takes at once, straight from guest memory; how much that is.
    ///
    /// # Errors
    ///
    /// As `pwritev2(2)`.
    pub fn write_to(&self, file: &File, target: Target) -> io::Result<u32> {
        let (offset, flags) = match target {
            Target::At(offset) => (offset, 0),
            Target::End => (0, libc::RWF_APPEND),
        };
        let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
        self.0.copy_by(|vectors| {
            let count = vectors.len() as libc::c_int;
            // SAFETY: the array lives through the call and has the length that is passed; the
            // kernel does not write to it. Each of its entries is the pointer and the length of a
            // `VolatileSlice`, which by its invariant may be read as long as it lives; the slices
            // are borrowed and their guards alive until after the call. Nothing is written to
            // guest memory. The descriptor is open, as `file` is borrowed.
            unsafe { libc::pwritev2(file.as_raw_fd(), vectors.as_ptr(), count, offset, flags) }
        })
    }

    /// Writes all of it to `file` from `offset` on, straight from guest memory.
    ///
    /// # Errors
    ///
    /// As `pwritev2(2)`; then a part may be written.
    pub fn write_all_to(mut self, file: &File, mut offset: u64) -> io::Result<()> {
        while self.bytes() > 0 {
            let written = match self.write_to(file, Target::At(offset)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            offset += u64::from(written);
            (_, self) = self.split_at(written)?;
        }
        Ok(())
    }

    /// Writes `first` and it, straight from guest memory, to `file` in one call; how many bytes
    /// of both that are.
    ///
    /// # Errors
    ///
    /// As `writev(2)`.
    pub fn write_behind(&self, first: &[u8], file: &File) -> io::Result<u32> {
        self.0.copy_behind(first, |vectors| {
            let count = vectors.len() as libc::c_int;
            // SAFETY: the array lives through the call and has the length that is passed. Its
            // first entry is the pointer and the length of a borrowed slice, each other one those
            // of a `VolatileSlice`, which by its invariant may be read as long as it lives; the
            // slices are borrowed and their guards alive until after the call. Nothing is written
            // to either. The descriptor is open, as `file` is borrowed.
            unsafe { libc::writev(file.as_raw_fd(), vectors.as_ptr(), count) }
        })
    }

    /// Sends as much as the stream takes at once, straight from guest memory; how much that is.
    ///
    /// # Errors
    ///
    /// As `sendmsg(2)`, but that no SIGPIPE is raised.
    pub fn send(&self, stream: &UnixStream) -> io::Result<u32> {
        self.0.copy_by(|vectors| {
            // SAFETY: `msghdr` is a C structure of integers and pointers; all zeros is a message
            // without an address, data and control data.
            let mut message: libc::msghdr = unsafe { mem::zeroed() };
            message.msg_iov = vectors.as_ptr().cast_mut();
            message.msg_iovlen = vectors.len();
            // SAFETY: the message lives through the call, and its only pointer is that to
            // `vectors` with its length; the kernel does not write to that array. Each entry is
            // the pointer and the length of a `VolatileSlice`, which by its invariant may be read
            // as long as it lives; the slices are borrowed and their guards alive until after the
            // call. Nothing is written to guest memory. The descriptor is open, as `stream` is
            // borrowed.
            unsafe { libc::sendmsg(stream.as_raw_fd(), &message, libc::MSG_NOSIGNAL) }
        })
    }
}

/// Where in a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// From this offset on.
    At(u64),
    /// Where the file ends at that moment.
    End,
}

/// Guest memory that a device may write.
#[derive(Clone, Default)]
pub struct Writable<'m>(Pieces<'m>);

impl Writable<'_> {
    /// Its size in bytes.
    pub fn bytes(&self) -> u32 {
        self.0.bytes()
    }

    /// Cuts it in two, the first with `bytes` bytes.
    ///
    /// # Errors
    ///
    /// When it has fewer.
    pub fn split_at(self, bytes: u32) -> Result<(Self, Self), TooShort> {
        let (first, second) = self.0.split_at(bytes)?;
        Ok((Self(first), Self(second)))
    }

    /// Takes as much of the start of `more` to its end as makes it `bytes` long, or all of it; how
    /// much that is.
    pub fn append_up_to(&mut self, more: Self, bytes: u32) -> u32 {
        let taken = more.bytes().min(bytes.saturating_sub(self.bytes()));
        if let Ok((front, _)) = more.split_at(taken) {
            self.0.0.extend(front.0.0);
        }
        taken
    }

    /// Copies `bytes` to its start.
    ///
    /// # Errors
    ///
    /// When it has less room; then nothing is copied.
    pub fn copy_from(&self, mut bytes: &[u8]) -> Result<(), TooShort> {
        if (self.bytes() as usize) < bytes.len() {
            return Err(TooShort);
        }
        for piece in &self.0.0 {
            let (now, later) = bytes.split_at(bytes.len().min(piece.len()));
            piece.copy_from(now);
            bytes = later;
        }
        Ok(())
    }

    /// Fills all of it with what `file` holds from `offset` on.
    ///
    /// # Errors
    ///
    /// When reading fails, or the file ends too early.
    pub fn fill_from(mut self, file: &File, mut offset: u64) -> io::Result<()> {
        while self.bytes() > 0 {
            let read = match self.read_at(file, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            offset += u64::from(read);
            (_, self) = self.split_at(read)?;
        }
        Ok(())
    }

    /// Reads what `file` gives at once from `offset` on, straight into guest memory; how much
    /// that is.
    ///
    /// # Errors
    ///
    /// As `preadv(2)`.
    pub fn read_at(&self, file: &File, offset: u64) -> io::Result<u32> {
        let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
        self.0.copy_by(|vectors| {
            let count = vectors.len() as libc::c_int;
            // SAFETY: the array lives through the call and has the length that is passed. Each of
            // its entries is the pointer and the length of a `VolatileSlice`, which by its
            // invariant may be written as long as it lives; the slices are borrowed and their
            // guards alive until after the call. No Rust reference to guest memory exists that
            // this could invalidate: it is accessed through volatile slices only. The descriptor
            // is open, as `file` is borrowed.
            unsafe { libc::preadv(file.as_raw_fd(), vectors.as_ptr(), count, offset) }
        })
    }

    /// Gives all whole pages of it back to the host. What was in them is lost: they read as zeros,
    /// or as what the file holds there that memory was mapped from.
    ///
    /// # Errors
    ///
    /// As `madvise(2)`; then some may not be given back.
    pub fn discard(&self) -> io::Result<()> {
        const PAGE_BYTES: usize = 4096;
        for piece in &self.0.0 {
            let guard = piece.ptr_guard_mut();
            let unaligned = guard.as_ptr().align_offset(PAGE_BYTES);
            let Some(from_page) = piece.len().checked_sub(unaligned) else {
                continue;
            };
            let whole = from_page / PAGE_BYTES * PAGE_BYTES;
            if whole == 0 {
                continue;
            }
            // SAFETY: the pages lie wholly in a `VolatileSlice`, so in a mapping of guest memory
            // that stays, of the same extent, as long as the slice lives. It is private, and only
            // accessed through volatile slices, for which a change of contents is nothing new.
            let result = unsafe {
                let start = guard.as_ptr().add(unaligned);
                libc::madvise(start.cast(), whole, libc::MADV_DONTNEED)
            };
            if result != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }

    /// Receives what the stream gives at once, straight into guest memory; how much that is.
    ///
    /// # Errors
    ///
    /// As `readv(2)`.
    pub fn receive(&self, stream: &UnixStream) -> io::Result<u32> {
        self.0.copy_by(|vectors| {
            let count = vectors.len() as libc::c_int;
            // SAFETY: as for `preadv` in `read_at`; `stream` is borrowed.
            unsafe { libc::readv(stream.as_raw_fd(), vectors.as_ptr(), count) }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, SeekFrom, Write};

    use proptest::prelude::*;
    use vm_memory::{Bytes, GuestAddress};

    use super::*;

    const MEMORY_BYTES: u64 = 1 << 20;

    /// Pieces of these sizes, with a gap between one and the next.
    fn pieces<'m>(memory: &'m GuestMemory, sizes: &[usize]) -> Pieces<'m> {
        let mut address = 0x1000;
        let mut pieces = Pieces::default();
        for size in sizes {
            let slices = memory.get_slices(GuestAddress(address), *size, Permissions::ReadWrite);
            pieces.0.extend(slices.unwrap().map(Result::unwrap));
            address += *size as u64 + 100;
        }
        pieces
    }

    fn content(pieces: &Pieces<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        Readable(pieces.clone()).append_to(&mut bytes);
        bytes
    }

    proptest! {
        #[test]
        fn bytes_come_and_go_in_order_however_they_are_cut(
            sizes in prop::collection::vec(0usize..300, 0..8),
            cut in 0u32..2000,
        ) {
            let memory = crate::memory::allocate(MEMORY_BYTES).unwrap();
            let pieces = pieces(&memory, &sizes);
            let total: usize = sizes.iter().sum();
            let data: Vec<u8> = (0..total).map(|i| i as u8 ^ (i >> 8) as u8).collect();
            prop_assert_eq!(pieces.bytes() as usize, total);

            Writable(pieces.clone()).copy_from(&data).unwrap();
            prop_assert_eq!(&content(&pieces), &data);

            let mut file = tempfile::tempfile().unwrap();
            file.write_all(b"skipped").unwrap();
            file.write_all(&data).unwrap();
            file.seek(SeekFrom::Start(0)).unwrap();
            Writable(pieces.clone()).copy_from(&vec![0; total]).unwrap();
            Writable(pieces.clone()).fill_from(&file, 7).unwrap();
            prop_assert_eq!(&content(&pieces), &data);

            match pieces.clone().split_at(cut) {
                Ok((first, second)) => {
                    let at = cut as usize;
                    prop_assert_eq!(content(&first), &data[..at]);
                    prop_assert_eq!(content(&second), &data[at..]);
                }
                Err(TooShort) => prop_assert!(cut as usize > total),
            }
        }
    }

    #[test]
    fn a_stream_gets_and_gives_what_the_pieces_hold() {
        let memory = crate::memory::allocate(MEMORY_BYTES).unwrap();
        let (here, mut there) = UnixStream::pair().unwrap();
        let from = pieces(&memory, &[1, 10, 100]);
        let data: Vec<u8> = (0..111).collect();
        Writable(from.clone()).copy_from(&data).unwrap();
        assert_eq!(Readable(from.clone()).send(&here).unwrap(), 111);
        let mut got = [0; 111];
        there.read_exact(&mut got).unwrap();
        assert_eq!(got[..], data);

        there.write_all(b"answer").unwrap();
        assert_eq!(Writable(from.clone()).receive(&here).unwrap(), 6);
        assert_eq!(&content(&from)[..7], b"answer\x06");
    }

    #[test]
    fn a_file_gets_what_the_pieces_hold_where_it_is_wanted() {
        let memory = crate::memory::allocate(MEMORY_BYTES).unwrap();
        let from = pieces(&memory, &[1, 2, 3]);
        Writable(from.clone()).copy_from(b"abcdef").unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        for target in [Target::At(2), Target::End] {
            assert_eq!(Readable(from.clone()).write_to(&file, target).unwrap(), 6);
        }
        let mut found = String::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_string(&mut found).unwrap();
        assert_eq!(found, "01abcdef89abcdef");
        assert!(
            Readable(from)
                .write_to(&file, Target::At(u64::MAX))
                .is_err()
        );
    }

    #[test]
    fn whole_pages_are_given_back_and_parts_of_pages_stay() {
        const PAGE: usize = 4096;
        for (start, bytes, gone) in [
            (2 * PAGE, 2 * PAGE, 2..4),
            (2 * PAGE - 1, 2 * PAGE + 2, 2..4),
            (2 * PAGE + 1, 2 * PAGE - 2, 3..3),
            (2 * PAGE + 1, 100, 0..0),
            (2 * PAGE, 0, 0..0),
        ] {
            let memory = crate::memory::allocate(MEMORY_BYTES).unwrap();
            memory.write_slice(&[1; 8 * PAGE], GuestAddress(0)).unwrap();
            let slices = memory.get_slices(GuestAddress(start as u64), bytes, Permissions::Write);
            let pieces = Pieces(slices.unwrap().map(Result::unwrap).collect());
            Writable(pieces).discard().unwrap();
            let mut content = vec![0; 8 * PAGE];
            memory.read_slice(&mut content, GuestAddress(0)).unwrap();
            for (page, content) in content.chunks(PAGE).enumerate() {
                let expected = u8::from(!gone.contains(&page));
                assert_eq!(
                    content, [expected; PAGE],
                    "{bytes} from {start}: page {page}"
                );
            }
        }
    }

    #[test]
    fn what_is_too_short_is_an_error() {
        let memory = crate::memory::allocate(MEMORY_BYTES).unwrap();
        let pieces = pieces(&memory, &[2, 3]);
        assert_eq!(Readable(pieces.clone()).copy_to(&mut [0; 6]), Err(TooShort));
        assert_eq!(Writable(pieces.clone()).copy_from(&[1; 6]), Err(TooShort));
        assert_eq!(content(&pieces), [0; 5]);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"1234").unwrap();
        let error = Writable(pieces).fill_from(&file, 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
