//! The initial RAM file system, which a kernel unpacks: an archive, compressed or not, that is
//! brought into memory as it is.

use std::fs::File;
use std::io;

use vm_memory::{Address, GuestAddress, GuestMemoryBackend, GuestMemoryRegion};

use super::place::{self, Backing, Segment};
use crate::layout;
use crate::memory::GuestMemory;

const PAGE_BYTES: u64 = 4096;

/// Where the initial RAM file system lies in the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Initrd {
    /// Guest-physical address of its first byte; below 4 GiB, as the protocols demand.
    pub start: u32,
    /// Its size.
    pub bytes: u32,
}

/// The archive can't be placed.
#[derive(Debug, thiserror::Error)]
pub enum InitrdError {
    /// It can't be read.
    #[error("the initial RAM file system can't be read")]
    Read(#[from] io::Error),
    /// There is nothing in it.
    #[error("the initial RAM file system is empty")]
    Empty,
    /// There is no room between the kernel and the end of memory.
    #[error(
        "the initial RAM file system of {bytes} bytes does not fit into the guest's memory behind \
         the kernel"
    )]
    NoRoom {
        /// Its size.
        bytes: u64,
    },
}

/// Brings the archive in `file` to the end of low memory, `kernel_end` or more.
///
/// # Errors
///
/// When it does not fit, or can't be read.
pub fn load(
    file: &File,
    memory: &GuestMemory,
    backing: Backing,
    kernel_end: u64,
) -> Result<Initrd, InitrdError> {
    let bytes = file.metadata()?.len();
    if bytes == 0 {
        return Err(InitrdError::Empty);
    }
    let no_room = InitrdError::NoRoom { bytes };
    let start = low_memory_end(memory)
        .checked_sub(bytes)
        .map(|start| start - start % PAGE_BYTES)
        .filter(|start| *start >= kernel_end);
    let Some(start) = start else {
        return Err(no_room);
    };
    let (Ok(start_below_4_gib), Ok(bytes_below_4_gib)) = (start.try_into(), bytes.try_into())
    else {
        return Err(no_room);
    };
    let whole = Segment {
        offset: 0,
        file_bytes: bytes,
        address: start,
        memory_bytes: bytes,
    };
    place::segment(file, memory, &whole, backing)?;
    Ok(Initrd {
        start: start_below_4_gib,
        bytes: bytes_below_4_gib,
    })
}

/// Where memory ends that a 32-bit address, and a bzImage's `initrd_addr_max`, reaches: 2 GiB at
/// most.
fn low_memory_end(memory: &GuestMemory) -> u64 {
    const INITRD_ADDRESS_MAX: u64 = 0x7fff_ffff;
    memory
        .find_region(GuestAddress(layout::HIGH_MEMORY))
        .map_or(0, |region| {
            region.last_addr().raw_value().min(INITRD_ADDRESS_MAX) + 1
        })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use vm_memory::Bytes;

    use super::*;
    use crate::memory;

    const MEMORY_BYTES: u64 = 64 << 20;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn it_ends_where_memory_does_whether_mapped_or_copied() {
        let contents: Vec<u8> = (0..10_000u32).map(|n| (n % 251) as u8).collect();
        for backing in [Backing::Mapped, Backing::Copied] {
            let memory = memory::allocate(MEMORY_BYTES).unwrap();
            let file = file(&contents);
            let initrd = load(&file, &memory, backing, layout::HIGH_MEMORY).unwrap();
            let pages_bytes = (contents.len() as u64).next_multiple_of(PAGE_BYTES);
            assert_eq!(u64::from(initrd.start), MEMORY_BYTES - pages_bytes);
            assert_eq!(initrd.bytes as usize, contents.len());
            let mut found = vec![0; contents.len()];
            let start = GuestAddress(initrd.start.into());
            memory.read_slice(&mut found, start).unwrap();
            assert!(found == contents, "{backing:?}");
        }
    }

    #[test]
    fn it_never_overlaps_the_kernel() {
        let memory = memory::allocate(MEMORY_BYTES).unwrap();
        let kernel_end = MEMORY_BYTES - 4096;
        for (bytes, fits) in [(4096, true), (4097, false), (MEMORY_BYTES + 1, false)] {
            let file = tempfile::tempfile().unwrap();
            file.set_len(bytes).unwrap();
            let loaded = load(&file, &memory, Backing::Copied, kernel_end);
            assert_eq!(loaded.is_ok(), fits, "{bytes}");
        }
    }

    #[test]
    fn it_is_below_2_gib_however_much_memory_there_is() {
        let memory = memory::allocate(5 << 30).unwrap();
        let initrd = load(&file(b"x"), &memory, Backing::Copied, 0).unwrap();
        assert_eq!(initrd.start, 0x7fff_f000);
    }

    #[test]
    fn an_empty_one_is_refused() {
        let memory = memory::allocate(MEMORY_BYTES).unwrap();
        let loaded = load(&file(b""), &memory, Backing::Mapped, 0);
        assert!(matches!(loaded, Err(InitrdError::Empty)));
    }
}
