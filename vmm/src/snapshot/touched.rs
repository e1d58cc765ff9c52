//! Finds what there is in guest memory.
//!
//! A page that was never touched is zero and has no entry in the page table; reading it to see
//! that would take a fault for each. So the kernel is asked: `/proc/self/pagemap` tells what is
//! present or swapped (Documentation/admin-guide/mm/pagemap.rst), and `/proc/self/maps` what is
//! mapped from a file, where a page that was never touched is not zero.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use vm_memory::{
    GuestMemoryBackend, GuestMemoryRegion, GuestRegionMmap, MemoryRegionAddress, VolatileSlice,
};

use super::{Extents, PAGE_BYTES};
use crate::memory::GuestMemory;

const PAGEMAP: &str = "/proc/self/pagemap";
const MAPS: &str = "/proc/self/maps";
const ENTRY_BYTES: u64 = 8;
/// Bit 63: present; bit 62: swapped.
const HAS_CONTENT: u64 = 0b11 << 62;
/// How many entries are read at a time.
const ENTRIES: u64 = 8192;

/// Wider gaps than this part two extents. Each extent is a mapping to be made at every restore;
/// a page of a gap costs 4 KiB of disk and the time to write it, once.
const GAP_BYTES: u64 = 16 * PAGE_BYTES;

/// The pages of `memory` that are not zero, by their position in RAM, with small gaps closed.
/// Nothing may write to the memory meanwhile.
pub(super) fn extents(memory: &GuestMemory) -> io::Result<Extents> {
    let pagemap = File::open(PAGEMAP)?;
    let from_files = from_files(&fs::read_to_string(MAPS)?)?;
    let mut extents = Extents::default();
    let mut position = 0;
    for region in memory.iter() {
        add_region(&mut extents, region, position, &pagemap, &from_files)?;
        position += region.len();
    }
    Ok(extents)
}

fn add_region(
    extents: &mut Extents,
    region: &GuestRegionMmap,
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
