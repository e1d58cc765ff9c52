//! Files of which an archive has only the parts that are not all zeros, in the four ways that GNU
//! tar writes them (tar manual, "Storing Sparse Files"): its own type of header, and versions 0.0,
//! 0.1 and 1.0 of its pax records.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use tar::{GnuExtSparseHeader, GnuSparseHeader, Header};

/// Most parts that a file may have: so many take a megabyte here, and a file of a gigabyte has as
/// many if every second block of 8 KiB is empty.
const MAX_EXTENTS: usize = 65_536;

/// Of version 1.0, what the map before the data is filled up to.
const BLOCK_BYTES: usize = 512;

/// Why there is no such file.
#[derive(Debug, thiserror::Error)]
pub enum SparseError {
    /// The map can't be read.
    #[error("its map of holes can't be read")]
    Read(#[from] io::Error),
    /// It is none.
    #[error("its map of holes is not well-formed")]
    Malformed,
    /// It would take too much memory.
    #[error("it is in more than {MAX_EXTENTS} parts")]
    TooMany,
}

/// A part of a file that is in the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    offset: u64,
    length: u64,
}

/// Where the data of an entry goes in its file. The parts lie in it one after the other, and the
/// archive has all of them.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct SparseMap {
    extents: Vec<Extent>,
    /// Of the file, in bytes.
    size: u64,
    /// Of its parts, in bytes.
    stored: u64,
}

impl SparseMap {
    /// `numbers` are offset and length of each part, `stored` what the archive has of the file.
    fn new(numbers: &[u64], size: u64, stored: u64) -> Result<Self, SparseError> {
        let (pairs, []) = numbers.as_chunks() else {
            return Err(SparseError::Malformed);
        };
        let mut end = 0;
        let mut sum = 0_u64;
        let mut extents = Vec::with_capacity(pairs.len());
        for &[offset, length] in pairs {
            let next = offset.checked_add(length).filter(|next| *next <= size);
            match next {
                Some(next) if offset >= end => end = next,
                _ => return Err(SparseError::Malformed),
            }
            // They don't overlap, so their sum is at most the size.
            sum += length;
            extents.push(Extent { offset, length });
        }
        if sum != stored {
            return Err(SparseError::Malformed);
        }
        Ok(Self {
            extents,
            size,
            stored,
        })
    }

    /// How many bytes of the file are not in the archive.
    pub(super) fn hole_bytes(&self) -> u64 {
        self.size - self.stored
    }

    /// Writes the file, which is empty, from its parts.
    pub(super) fn write(&self, data: &mut impl Read, file: &mut File) -> io::Result<()> {
        for extent in &self.extents {
            file.seek(SeekFrom::Start(extent.offset))?;
            io::copy(&mut data.take(extent.length), file)?;
        }
        file.set_len(self.size)
    }
}

/// The map of an entry of GNU's own type, of which `next_block` gives the blocks after the header.
pub(super) fn of_header(
    header: &Header,
    stored: u64,
    mut next_block: impl FnMut(&mut [u8]) -> io::Result<()>,
) -> Result<SparseMap, SparseError> {
    let header = header.as_gnu().ok_or(SparseError::Malformed)?;
    let mut numbers = Vec::new();
    let add = |numbers: &mut Vec<u64>, parts: &[GnuSparseHeader]| -> Result<(), SparseError> {
        for part in parts.iter().filter(|part| !part.is_empty()) {
            let pair = (part.offset().ok()).zip(part.length().ok());
            let (offset, length) = pair.ok_or(SparseError::Malformed)?;
            push(numbers, offset)?;
            push(numbers, length)?;
        }
        Ok(())
    };
    add(&mut numbers, &header.sparse)?;
    let mut goes_on = header.is_extended();
    while goes_on {
        let mut block = GnuExtSparseHeader::new();
        next_block(block.as_mut_bytes())?;
        add(&mut numbers, &block.sparse)?;
        goes_on = block.is_extended();
    }
    let size = header.real_size().map_err(|_| SparseError::Malformed)?;
    SparseMap::new(&numbers, size, stored)
}

/// What pax records say of the parts of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    pub(super) major: u64,
    pub(super) minor: u64,
    /// Of the file, in bytes.
    pub(super) size: Option<u64>,
    /// The map of versions 0.0 and 0.1.
    numbers: Vec<u64>,
}

impl Records {
    /// Takes a number of the map.
    pub(super) fn push(&mut self, number: u64) -> Result<(), SparseError> {
        push(&mut self.numbers, number)
    }

    /// The map of the file whose `stored` bytes `data` gives, from which it takes its own.
    pub(super) fn map(&self, stored: u64, data: &mut impl Read) -> Result<SparseMap, SparseError> {
        let size = self.size.ok_or(SparseError::Malformed)?;
        match (self.major, self.minor) {
            (0, _) => SparseMap::new(&self.numbers, size, stored),
            (1, 0) => {
                let (numbers, read) = numbers_before(data)?;
                let stored = stored.checked_sub(read).ok_or(SparseError::Malformed)?;
                SparseMap::new(&numbers, size, stored)
            }
            _ => Err(SparseError::Malformed),
        }
    }
}

/// The map that stands before the data, as lines of one number each, the first of which says how
/// many pairs follow; and how many bytes it takes.
fn numbers_before(data: &mut impl Read) -> Result<(Vec<u64>, u64), SparseError> {
    let mut numbers = Vec::new();
    let mut pairs = None;
    let mut read = 0;
    // Digits of a number may be in two blocks.
    let mut number: Option<u64> = None;
    while pairs.is_none_or(|pairs| numbers.len() as u64 / 2 < pairs) {
        let mut block = [0; BLOCK_BYTES];
        data.read_exact(&mut block)?;
        read += BLOCK_BYTES as u64;
        for byte in block {
            match byte {
                b'0'..=b'9' => {
                    let digit = u64::from(byte - b'0');
                    let longer = number.unwrap_or(0).checked_mul(10);
                    let longer = longer.and_then(|it| it.checked_add(digit));
                    number = Some(longer.ok_or(SparseError::Malformed)?);
                }
                b'\n' => {
                    let line = number.take().ok_or(SparseError::Malformed)?;
                    match pairs {
                        None => pairs = Some(line),
                        Some(_) => push(&mut numbers, line)?,
                    }
                }
                _ => return Err(SparseError::Malformed),
            }
            if pairs.is_some_and(|pairs| numbers.len() as u64 == pairs.saturating_mul(2)) {
                break;
            }
        }
    }
    Ok((numbers, read))
}

fn push(numbers: &mut Vec<u64>, number: u64) -> Result<(), SparseError> {
    if numbers.len() == 2 * MAX_EXTENTS {
        return Err(SparseError::TooMany);
    }
    numbers.push(number);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_lie_one_after_the_other_in_the_file_and_all_are_stored() {
        for (numbers, size, stored, holes) in [
            (&[][..], 0, 0, Some(0)),
            (&[], 9, 0, Some(9)),
            (&[0, 2, 4, 3], 9, 5, Some(4)),
            (&[0, 2, 2, 3, 9, 0], 9, 5, Some(4)),
            (&[0, 2, 1, 3], 9, 5, None),
            (&[4, 3, 0, 2], 9, 5, None),
            (&[0, 2, 4, 6], 9, 8, None),
            (&[0, 2], 9, 3, None),
            (&[0, 2], 9, 1, None),
            (&[0, 2, 4], 9, 2, None),
            (&[u64::MAX, 2], u64::MAX, 2, None),
        ] {
            let map = SparseMap::new(numbers, size, stored).ok();
            assert_eq!(map.map(|map| map.hole_bytes()), holes, "{numbers:?}");
        }
    }

    #[test]
    fn a_map_before_the_data_ends_with_its_block() {
        let map = |text: &str, bytes: usize| {
            let mut block = text.as_bytes().to_vec();
            block.resize(bytes, 0);
            numbers_before(&mut &block[..])
        };
        let (numbers, read) = map("2\n0\n10\n4096\n5\n", 512).unwrap();
        assert_eq!((numbers, read), (vec![0, 10, 4096, 5], 512));
        assert_eq!(map("0\n", 512).unwrap(), (vec![], 512));
        let long: String = (0..200).map(|n| format!("{}\n1\n", 2 * n)).collect();
        let (numbers, read) = map(&format!("200\n{long}"), 1536).unwrap();
        assert_eq!((numbers.len(), read), (400, 1536));
        for text in ["", "x", "1\n\n2\n", "1\n2\n", "99999999999999999999\n"] {
            assert!(map(text, 512).is_err(), "{text:?}");
        }
        let many = format!("{}\n{}", u64::MAX, "1\n".repeat(2 * MAX_EXTENTS + 1));
        let result = map(&many, many.len().next_multiple_of(512));
        assert!(matches!(result, Err(SparseError::TooMany)));
    }

    proptest! {
        #[test]
        fn no_map_makes_it_panic(text in "[0-9\n]{0,600}", numbers: Vec<u64>, size: u64, stored: u64) {
            let _ = numbers_before(&mut text.as_bytes());
            let _ = SparseMap::new(&numbers, size, stored);
        }
    }
}
