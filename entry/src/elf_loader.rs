//! The loader that a program names in itself, `PT_INTERP` of elf(5): the kernel executes it in the
//! program's place.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use crate::path_bytes::PATH_MAX;
use crate::syscall::{self, Result};

const PT_INTERP: u64 = 3;

/// Where a file of one class has what is read here: offsets in its head, and in each entry of its
/// table of segments. Sizes are in bytes.
struct Class {
    /// `e_phoff`; as wide as an offset.
    table: usize,
    /// `e_phnum`, of 2 bytes.
    entries: usize,
    entry_bytes: usize,
    /// `p_offset`; as wide as an offset.
    offset: usize,
    /// `p_filesz`; as wide as an offset.
    size: usize,
    offset_bytes: usize,
}

const CLASS_32: Class = Class {
    table: 28,
    entries: 44,
    entry_bytes: 32,
    offset: 4,
    size: 16,
    offset_bytes: 4,
};

const CLASS_64: Class = Class {
    table: 32,
    entries: 56,
    entry_bytes: 56,
    offset: 8,
    size: 32,
    offset_bytes: 8,
};

/// Reads the loader of the program `file` that begins with `head` into `path`, as `fs/binfmt_elf.c`
/// finds it. `None` if it has none, or is none that the kernel executes.
pub(crate) fn loader<'a>(
    file: BorrowedFd<'_>,
    head: &[u8],
    path: &'a mut [u8; PATH_MAX],
) -> Result<Option<&'a CStr>> {
    let class = match head {
        [0x7F, b'E', b'L', b'F', 1, ..] => CLASS_32,
        [0x7F, b'E', b'L', b'F', 2, ..] => CLASS_64,
        _ => return Ok(None),
    };
    let wide = class.offset_bytes;
    let (Some(table), Some(entries)) = (
        number(head, class.table, wide),
        number(head, class.entries, 2),
    ) else {
        return Ok(None);
    };
    for index in 0..entries {
        let mut entry = [0; CLASS_64.entry_bytes];
        let entry = &mut entry[..class.entry_bytes];
        let at = index * class.entry_bytes as u64;
        let Some(at) = table.checked_add(at) else {
            return Ok(None);
        };
        if !syscall::read_exactly_at(file, entry, at)? {
            return Ok(None);
        }
        if number(entry, 0, 4) != Some(PT_INTERP) {
            continue;
        }
        // The first one counts.
        let (Some(at), Some(size)) = (
            number(entry, class.offset, wide),
            number(entry, class.size, wide),
        ) else {
            return Ok(None);
        };
        let Some(path) = usize::try_from(size)
            .ok()
            .and_then(|size| path.get_mut(..size))
        else {
            return Ok(None);
        };
        if !syscall::read_exactly_at(file, path, at)? {
            return Ok(None);
        }
        return Ok(match path.last() {
            Some(0) => CStr::from_bytes_until_nul(path).ok(),
            _ => None,
        });
    }
    Ok(None)
}

/// The little-endian number of `width` bytes, at most 8, at an offset.
fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let mut number = [0; 8];
    number
        .get_mut(..width)?
        .copy_from_slice(bytes.get(at..at.checked_add(width)?)?);
    Some(u64::from_le_bytes(number))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::fs::OpenOptionsExt;

    use proptest::prelude::*;

    use super::*;

    fn loader_of(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut file = File::options()
            .read(true)
            .write(true)
            .custom_flags(libc::O_TMPFILE)
            .open(std::env::temp_dir())
            .unwrap();
        file.write_all(bytes).unwrap();
        let head = &bytes[..bytes.len().min(256)];
        let mut path = [0; PATH_MAX];
        let loader = loader(file.as_fd(), head, &mut path).unwrap()?;
        Some(loader.to_bytes().to_vec())
    }

    /// A program with two segments, of which the second is a loader.
    fn program(class: &Class, number: u8, path: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 512];
        bytes[..5].copy_from_slice(&[0x7F, b'E', b'L', b'F', number]);
        bytes[class.table] = 128;
        bytes[class.entries] = 2;
        let entry = 128 + class.entry_bytes;
        bytes[128] = 1;
        bytes[entry] = 3;
        bytes[entry + class.offset] = 250;
        bytes[entry + class.size] = path.len() as u8;
        bytes[250..250 + path.len()].copy_from_slice(path);
        bytes
    }

    #[test]
    fn the_loader_is_read_as_the_kernel_reads_it() {
        for (class, number) in [(CLASS_32, 1), (CLASS_64, 2)] {
            let path = b"/lib/ld.so\0";
            let with = |path| loader_of(&program(&class, number, path));
            assert_eq!(with(path).as_deref(), Some(&b"/lib/ld.so"[..]));
            assert_eq!(with(b"/lib/ld.so"), None);
            assert_eq!(with(b""), None);
            let cut = &program(&class, number, path)[..200];
            assert_eq!(loader_of(cut), None);
        }
        assert_eq!(loader_of(b"#!/bin/sh\n"), None);
        assert_eq!(loader_of(b"\x7fELF\x02"), None);
    }

    proptest! {
        #[test]
        fn no_program_makes_it_panic(
            class in 1..=2_u8,
            tail in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            let bytes = [&[0x7F, b'E', b'L', b'F', class][..], &tail].concat();
            let _ = loader_of(&bytes);
        }
    }
}
