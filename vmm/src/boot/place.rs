//! Brings a part of a file into guest memory, without a copy where that can be had.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};

use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend};

use crate::memory::{self, GuestMemory};

const PAGE_BYTES: u64 = 4096;

/// Whether guest memory may be backed by the file itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Backing {
    /// Map the file privately: guests of one file share the pages that they don't write to.
    /// Only for a file that nobody ever changes, such as one of a cache.
    Mapped,
    /// Copy: a file of the user's may be written or cut off while the guest runs.
    Copied,
}

/// A part of the file and its place in memory; what is there behind the file's part is zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub offset: u64,
    pub file_bytes: u64,
    pub address: u64,
    pub memory_bytes: u64,
}

/// Brings `segment` to its address, where room for it was checked.
pub(super) fn segment(
    file: &File,
    memory: &GuestMemory,
    segment: &Segment,
    backing: Backing,
) -> io::Result<()> {
    let start = segment.address;
    let end = start + segment.file_bytes;
    let first_page = start.next_multiple_of(PAGE_BYTES);
    let last_page_end = end - end % PAGE_BYTES;
    let congruent = segment.offset % PAGE_BYTES == start % PAGE_BYTES;
    if backing == Backing::Copied || !congruent || first_page >= last_page_end {
        return copy(file, memory, segment.offset, start, end);
    }
    let offset_of = |address: u64| segment.offset + (address - start);
    // What shares a page with something else can't be mapped.
    copy(file, memory, segment.offset, start, first_page)?;
    map(
        file,
        memory,
        offset_of(first_page),
        first_page,
        last_page_end,
    )?;
    copy(file, memory, offset_of(last_page_end), last_page_end, end)
}

/// Reads the file from `offset` on into memory from `start` to `end`.
fn copy(
    mut file: &File,
    memory: &GuestMemory,
    offset: u64,
    start: u64,
    end: u64,
) -> io::Result<()> {
    if start < end {
        file.seek(SeekFrom::Start(offset))?;
        memory
            .read_exact_volatile_from(GuestAddress(start), &mut file, (end - start) as usize)
            .map_err(io::Error::other)?;
    }
    Ok(())
}

/// Puts a private mapping of the file, from `offset` on, in the place of the memory from `start`
/// to `end`, all of them multiples of the page size.
fn map(file: &File, memory: &GuestMemory, offset: u64, start: u64, end: u64) -> io::Result<()> {
    let place = memory
        .get_slice(GuestAddress(start), (end - start) as usize)
        .map_err(io::Error::other)?;
    // SAFETY: `start` and `end` are multiples of the page size, and so is `offset`, which is
    // congruent to `start`. The file reaches to the end of each of its segments, as was checked
    // when its size was read, and `Backing::Mapped` is only asked for where it never changes.
    unsafe { memory::map_file(&place, file, offset) }
}
