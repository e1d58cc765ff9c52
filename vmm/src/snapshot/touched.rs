//! Finds what there is in guest memory.
//!
//! A page that was never touched is zero and has no entry in the page table; reading it to see
//! that would take a fault for each. So the kernel is asked: `/proc/self/pagemap` tells what is
//! present or swapped (Documentation/admin-guide/mm/pagemap.rst), and `/proc/self/maps` what is
//! mapped from a file, where a page that was never touched is not zero.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use vm_memory::{GuestMemoryBackend, GuestMemoryRegion, MemoryRegionAddress, VolatileSlice};

use super::{Extents, PAGE_BYTES};
use crate::memory::{GuestMemory, Region};

const PAGEMAP: &str = "/proc/self/pagemap";
const MAPS: &str = "/proc/self/maps";
const ENTRY_BYTES: u64 = 8;
/// Bit 63: present; bit 62: swapped.
const HAS_CONTENT: u64 = 0b11 << 62;
/// How many entries are read at a time.
const ENTRIES: u64 = 8192;

/// Wider gaps than this part two extents. Each extent is a mapping to be made at every restore
/// (5 us); a page of a gap is written once, and shared by all who start from the snapshot. Of a
/// machine of 128 MiB that has booted, this makes 17 extents of 15.3 MiB out of 84 of 14.6 MiB.
const GAP_BYTES: u64 = 16 * PAGE_BYTES;
/// With more extents than this, wider gaps are closed too, or a large memory with something here
/// and there would take seconds and more mappings than a process may have (65,530:
/// Documentation/admin-guide/sysctl/vm.rst, `max_map_count`).
const MAX_EXTENTS: usize = 1024;

/// What the kernel tells of this process's memory, whenever it is asked.
#[derive(Debug)]
pub struct AddressSpace {
    pagemap: File,
    maps: File,
}

impl AddressSpace {
    /// To be opened while there is a `/proc`.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn of_process() -> io::Result<Self> {
        Ok(Self {
            pagemap: File::open(PAGEMAP)?,
            maps: File::open(MAPS)?,
        })
    }

    /// The pages of `memory` that are not zero, by their position in RAM, with small gaps closed.
    /// Nothing may write to the memory meanwhile.
    pub(super) fn extents(&self, memory: &GuestMemory) -> io::Result<Extents> {
        let from_files = from_files(&self.maps()?)?;
        let mut extents = Extents::default();
        let mut position = 0;
        for region in memory.iter() {
            add_region(&mut extents, region, position, &self.pagemap, &from_files)?;
            position += region.len();
        }
        let mut gap_bytes = GAP_BYTES;
        while extents.count() > MAX_EXTENTS {
            gap_bytes *= 2;
            extents = extents.with_gaps_closed(gap_bytes);
        }
        Ok(extents)
    }

    fn maps(&self) -> io::Result<String> {
        let mut maps = String::new();
        let mut file = &self.maps;
        file.rewind()?;
        file.read_to_string(&mut maps)?;
        Ok(maps)
    }
}

fn add_region(
    extents: &mut Extents,
    region: &Region,
    position: u64,
    pagemap: &File,
    from_files: &[Range<u64>],
) -> io::Result<()> {
    let ram = region
        .get_slice(MemoryRegionAddress(0), region.len() as usize)
        .map_err(io::Error::other)?;
    let start = ram.ptr_guard().as_ptr() as u64;
    let pages = region.len() / PAGE_BYTES;
    let mut entries = vec![0; (ENTRIES * ENTRY_BYTES) as usize];
    for first in (0..pages).step_by(ENTRIES as usize) {
        let count = ENTRIES.min(pages - first);
        let entries = &mut entries[..(count * ENTRY_BYTES) as usize];
        pagemap.read_exact_at(entries, (start / PAGE_BYTES + first) * ENTRY_BYTES)?;
        let (entries, _) = entries.as_chunks();
        for (page, entry) in (first..).zip(entries) {
            let offset = page * PAGE_BYTES;
            let has_content = u64::from_le_bytes(*entry) & HAS_CONTENT != 0
                || contains(from_files, start + offset);
            if !has_content {
                continue;
            }
            let content = ram
                .subslice(offset as usize, PAGE_BYTES as usize)
                .map_err(io::Error::other)?;
            if !is_zero(&content) {
                extents.add_page(position + offset, GAP_BYTES);
            }
        }
    }
    Ok(())
}

fn is_zero(page: &VolatileSlice<'_>) -> bool {
    // Of most pages with something in them, the start tells.
    let mut start = [0; 64];
    page.copy_to(&mut start);
    if start != [0; 64] {
        return false;
    }
    let mut whole = [0_u64; PAGE_BYTES as usize / 8];
    page.copy_to(&mut whole);
    whole.iter().fold(0, |bits, word| bits | word) == 0
}

/// The ranges of this process's addresses that are mapped from files, lowest first.
fn from_files(maps: &str) -> io::Result<Vec<Range<u64>>> {
    let mut ranges = Vec::new();
    for line in maps.lines() {
        let (range, from_file) = parse(line)
            .ok_or_else(|| io::Error::other(format!("{MAPS} has an unknown line: {line}")))?;
        if from_file {
            ranges.push(range);
        }
    }
    Ok(ranges)
}

/// The addresses of a line, and whether it is a file's: `START-END PERMS OFFSET DEV INODE [PATH]`
/// (proc_pid_maps(5)), where the inode of what is no file's is 0.
fn parse(line: &str) -> Option<(Range<u64>, bool)> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let start = u64::from_str_radix(start, 16).ok()?;
    let end = u64::from_str_radix(end, 16).ok()?;
    let inode: u64 = fields.nth(3)?.parse().ok()?;
    Some((start..end, inode != 0))
}

fn contains(ranges: &[Range<u64>], address: u64) -> bool {
    let behind = ranges.partition_point(|range| range.start <= address);
    ranges[..behind]
        .last()
        .is_some_and(|range| range.contains(&address))
}

#[cfg(test)]
mod tests {
    use vm_memory::{Bytes, GuestAddress};

    use super::*;
    use crate::memory;

    #[test]
    fn lines_of_files_are_told_from_others() {
        let maps = "\
            55a0-55b0 r-xp 00000000 fe:00 77 /bin/a file (deleted)\n\
            7f00-7f10 rw-p 00000000 00:00 0 \n\
            7f20-7f30 rw-p 00000000 00:00 0          [stack]\n\
            7f40-7f50 rw-p 00003000 fe:00 78 /x\n";
        let ranges = from_files(maps).unwrap();
        assert_eq!(ranges, [0x55a0..0x55b0, 0x7f40..0x7f50]);
        for (address, expected) in [
            (0x559f, false),
            (0x55a0, true),
            (0x55af, true),
            (0x55b0, false),
            (0x7f40, true),
            (0x8000, false),
        ] {
            assert_eq!(contains(&ranges, address), expected, "{address:#x}");
        }
        assert!(from_files("7f00 rw-p\n").is_err());
    }

    #[test]
    fn scattered_pages_make_no_more_extents_than_can_be_mapped() {
        let memory = memory::allocate(256 << 20).unwrap();
        let scattered = (0..256 << 20).step_by(20 * PAGE_BYTES as usize);
        for address in scattered.clone() {
            memory.write_obj(1_u8, GuestAddress(address)).unwrap();
        }
        assert!(scattered.clone().count() > MAX_EXTENTS);
        let extents = AddressSpace::of_process()
            .unwrap()
            .extents(&memory)
            .unwrap();
        assert!(extents.count() <= MAX_EXTENTS, "{}", extents.count());
        for address in scattered {
            let has_it =
                |extent: super::super::Extent| (extent.offset..extent.end()).contains(&address);
            assert!(extents.iter().any(has_it), "{address:#x}");
        }
    }
}
