//! The checked view of guest memory: the only way in which a device touches a guest's buffers.
//!
//! The threat: a descriptor is an address and a length that the guest chose, and a chain of them
//! may point outside of memory, wrap around, run in a circle, or be changed while it is read. A
//! [`Chain`] shows none of that. What can be had from it are ranges that were proven to be guest
//! memory, as volatile slices that borrow it. Descriptors are read once: a guest that changes
//! them later changes nothing.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use virtio_queue::DescriptorChain;
use virtio_queue::desc::split::Descriptor;
use virtio_vsock::packet::VsockPacket;
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
    /// It is no packet of a virtio socket.
    #[error("a descriptor chain is no packet")]
    Packet(#[from] virtio_vsock::packet::Error),
}

/// A buffer has fewer bytes than are needed of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a buffer is too short")]
pub struct TooShort;

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
                true => (Permissions::Write, &mut buffers.writable.slices),
                false if !buffers.writable.slices.is_empty() => return Err(ChainError::OutOfOrder),
                false => (Permissions::Read, &mut buffers.readable.slices),
            };
            let length = descriptor.len() as usize;
            for slice in memory.get_slices(descriptor.addr(), length, permission)? {
                target.push(slice?);
            }
        }
        Ok(buffers)
    }

    /// The packet that the driver sends with this chain, with at most `max_bytes` of data.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn sent_packet(mut self, max_bytes: u32) -> Result<VsockPacket<'m, ()>, ChainError> {
        // The packet's slices come from `GuestMemory::get_slices` too, and the header is copied
        // before its fields are looked at.
        Ok(VsockPacket::from_tx_virtq_chain(
            self.memory,
            &mut self.raw,
            max_bytes,
        )?)
    }

    /// The packet that the driver wants to be filled.
    ///
    /// # Errors
    ///
    /// When the chain has no room for one.
    pub fn packet_to_fill(mut self) -> Result<VsockPacket<'m, ()>, ChainError> {
        Ok(VsockPacket::from_rx_virtq_chain(
            self.memory,
            &mut self.raw,
            u32::MAX,
        )?)
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

/// Guest memory that a device may read.
#[derive(Default)]
pub struct Readable<'m> {
    slices: Vec<VolatileSlice<'m>>,
}

impl Readable<'_> {
    /// Copies the first bytes out, as many as `bytes` takes.
    ///
    /// # Errors
    ///
    /// When there are fewer.
    pub fn copy_to(&self, mut bytes: &mut [u8]) -> Result<(), TooShort> {
        for slice in &self.slices {
            let copied = slice.copy_to(bytes);
            bytes = &mut bytes[copied..];
        }
        if bytes.is_empty() {
            Ok(())
        } else {
            Err(TooShort)
        }
    }
}

/// Guest memory that a device may write.
#[derive(Clone, Default)]
pub struct Writable<'m> {
    slices: Vec<VolatileSlice<'m>>,
}

impl<'m> Writable<'m> {
    /// Its size in bytes; a chain has less than 4 GiB.
    pub fn bytes(&self) -> u32 {
        self.slices.iter().map(|slice| slice.len() as u32).sum()
    }

    /// Cuts it in two, the first with `bytes` bytes.
    ///
    /// # Errors
    ///
    /// When it has fewer.
    pub fn split_at(self, bytes: u32) -> Result<(Self, Self), TooShort> {
        let mut missing = bytes as usize;
        let (mut first, mut second) = (Self::default(), Self::default());
        for slice in self.slices {
            let (front, back) = slice
                .split_at(missing.min(slice.len()))
                .map_err(|_| TooShort)?;
            missing -= front.len();
            first.slices.extend((!front.is_empty()).then_some(front));
            second.slices.extend((!back.is_empty()).then_some(back));
        }
        match missing {
            0 => Ok((first, second)),
            _ => Err(TooShort),
        }
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
        for slice in &self.slices {
            let (now, later) = bytes.split_at(bytes.len().min(slice.len()));
            slice.copy_from(now);
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
            let read = match self.read_some(file, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            offset += u64::from(read);
            (_, self) = self.split_at(read).map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// One `preadv(2)`, straight into guest memory.
    fn read_some(&self, file: &File, offset: u64) -> io::Result<u32> {
        let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
        let guards: Vec<_> = self
            .slices
            .iter()
            .take(libc::UIO_MAXIOV as usize)
            .map(VolatileSlice::ptr_guard_mut)
            .collect();
        let vectors: Vec<_> = guards
            .iter()
            .map(|guard| libc::iovec {
                iov_base: guard.as_ptr().cast(),
                iov_len: guard.len(),
            })
            .collect();
        // SAFETY: the array lives through the call and has the length that is passed. Each of its
        // entries is the pointer and the length of a `VolatileSlice`, which by its invariant may
        // be written as long as it lives; the slices are borrowed and their guards alive until
        // after the call. No Rust reference to guest memory exists that this could invalidate:
        // it is accessed through volatile slices only. The descriptor is open, as `file` is
        // borrowed.
        let read = unsafe {
            libc::preadv(
                file.as_raw_fd(),
                vectors.as_ptr(),
                vectors.len() as libc::c_int,
                offset,
            )
        };
        // Not negative: at most the sum of the lengths, which is less than 4 GiB.
        u32::try_from(read).map_err(|_| io::Error::last_os_error())
    }
}
