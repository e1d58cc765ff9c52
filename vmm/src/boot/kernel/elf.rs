//! ELF images: an uncompressed `vmlinux`, or another kernel that takes PVH.
//!
//! linux-loader has a loader for these, but it copies, which costs more than all the rest of a
//! launch; so the headers are read here and the segments mapped by [`place`].

use std::fs::File;

use super::super::place::{self, Backing, Segment};
use super::{Entry, KernelError, Loaded, check_room, read_exactly};
use crate::memory::GuestMemory;

const HEADER_BYTES: usize = 64;
const PROGRAM_HEADER_BYTES: usize = 56;
/// Linux has five.
const MAX_PROGRAM_HEADERS: u16 = 64;
/// Linux's notes take some hundred bytes.
const MAX_NOTES_BYTES: u64 = 64 << 10;

// elf(5)
const MAGIC: &[u8] = b"\x7fELF";
const CLASS_64_LITTLE_ENDIAN: [u8; 2] = [2, 1];
const ET_EXEC: u16 = 2;
const EM_X86_64: u16 = 62;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;

/// `XEN_ELFNOTE_PHYS32_ENTRY`, include/xen/interface/elfnote.h: PVH's entry point.
const NOTE_PVH_ENTRY: u32 = 18;
const NOTE_OWNER: &[u8] = b"Xen\0";

/// What an image says of itself, checked against the file's size.
#[derive(Debug)]
pub(super) struct Image {
    segments: Vec<Segment>,
    entry: u64,
    pvh_entry: Option<u32>,
}

impl Image {
    /// Reads the headers; [`KernelError::NotAKernel`] if this is no ELF file at all.
    pub fn parse(file: &File) -> Result<Self, KernelError> {
        let file_bytes = file.metadata()?.len();
        let mut magic = [0; MAGIC.len()];
        match read_exactly(file, &mut magic, 0) {
            Ok(()) if magic == MAGIC => {}
            Ok(()) | Err(KernelError::Truncated(_)) => return Err(KernelError::NotAKernel),
            Err(error) => return Err(error),
        }
        let mut header = [0; HEADER_BYTES];
        read_exactly(file, &mut header, 0)?;
        let fields = Fields(&header);
        if header[4..6] != CLASS_64_LITTLE_ENDIAN
            || fields.u16(16) != ET_EXEC
            || fields.u16(18) != EM_X86_64
        {
            return Err(KernelError::WrongElf);
        }
        let (table, entry_bytes, count) = (fields.u64(32), fields.u16(54), fields.u16(56));
        if usize::from(entry_bytes) != PROGRAM_HEADER_BYTES {
            return Err(KernelError::BadElf("program headers of an unknown size"));
        }
        if count > MAX_PROGRAM_HEADERS {
            return Err(KernelError::BadElf("too many program headers"));
        }

        let mut image = Self {
            segments: Vec::new(),
            entry: fields.u64(24),
            pvh_entry: None,
        };
        let mut headers = vec![0; PROGRAM_HEADER_BYTES * usize::from(count)];
        read_exactly(file, &mut headers, table)?;
        for header in headers.chunks_exact(PROGRAM_HEADER_BYTES) {
            let fields = Fields(header);
            let segment = Segment {
                offset: fields.u64(8),
                file_bytes: fields.u64(32),
                address: fields.u64(24),
                memory_bytes: fields.u64(40),
            };
            let end = segment.offset.checked_add(segment.file_bytes);
            if end.is_none_or(|end| end > file_bytes) {
                return Err(KernelError::Truncated(file_bytes));
            }
            match fields.u32(0) {
                PT_LOAD if segment.memory_bytes > 0 => {
                    if segment.file_bytes > segment.memory_bytes {
                        return Err(KernelError::BadElf("a segment larger than its memory"));
                    }
                    image.segments.push(segment);
                }
                PT_NOTE if image.pvh_entry.is_none() => {
                    image.pvh_entry = pvh_entry(file, &segment)?;
                }
                _ => {}
            }
        }
        let entry = image.pvh_entry.map_or(image.entry, u64::from);
        let enters_a_segment = image.segments.iter().any(|segment| {
            entry
                .checked_sub(segment.address)
                .is_some_and(|offset| offset < segment.file_bytes)
        });
        if !enters_a_segment {
            return Err(KernelError::BadElf(
                "an entry point where nothing is loaded",
            ));
        }
        Ok(image)
    }

    pub fn load(
        &self,
        file: &File,
        memory: &GuestMemory,
        backing: Backing,
    ) -> Result<Loaded, KernelError> {
        let mut end = 0;
        for segment in &self.segments {
            let segment_end = segment.address.saturating_add(segment.memory_bytes);
            check_room(memory, segment.address, segment_end)?;
            end = end.max(segment_end);
            place::segment(file, memory, segment, backing)?;
        }
        Ok(Loaded {
            entry: self.pvh_entry.map_or(Entry::Long(self.entry), Entry::Pvh),
            end,
            setup_header: None,
        })
    }
}

/// Looks for PVH's entry point among the notes of a segment.
fn pvh_entry(file: &File, notes: &Segment) -> Result<Option<u32>, KernelError> {
    if notes.file_bytes > MAX_NOTES_BYTES {
        return Err(KernelError::BadElf("notes of more than 64 KiB"));
    }
    let mut bytes = vec![0; notes.file_bytes as usize];
    read_exactly(file, &mut bytes, notes.offset)?;
    Ok(find_pvh_note(&bytes))
}

/// Walks over notes: sizes of name and descriptor, type, name, descriptor, each padded to 4.
fn find_pvh_note(mut notes: &[u8]) -> Option<u32> {
    loop {
        let (head, rest) = notes.split_at_checked(12)?;
        let head = Fields(head);
        let [name_bytes, descriptor_bytes] = [0, 4].map(|at| head.u32(at) as usize);
        let (name, rest) = rest.split_at_checked(name_bytes.checked_next_multiple_of(4)?)?;
        if head.u32(8) == NOTE_PVH_ENTRY && name == NOTE_OWNER {
            // 4 or 8 bytes, but the address is a 32-bit one in any case.
            return rest.first_chunk().copied().map(u32::from_le_bytes);
        }
        notes = rest.get(descriptor_bytes.checked_next_multiple_of(4)?..)?;
    }
}

/// Little-endian numbers at fixed offsets of a header that is long enough for all of them.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.0[at..at + N]);
        bytes
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.array(at))
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.array(at))
    }
}
