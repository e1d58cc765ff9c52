//! Images made here: small ones that are right, and all kinds that are not.

use std::io::Write;

use proptest::prelude::*;
use vm_memory::Bytes;

use super::*;
use crate::memory;

const MEMORY_BYTES: u64 = 64 << 20;
const ADDRESS: u64 = 0x100_0000;

/// What a test ELF image is made of.
#[derive(Clone)]
struct Elf {
    entry: u64,
    address: u64,
    memory_bytes: u64,
    /// Where in the file the segment starts.
    offset: u64,
    contents: Vec<u8>,
    notes: Vec<u8>,
}

impl Default for Elf {
    fn default() -> Self {
        Self {
            entry: ADDRESS,
            address: ADDRESS,
            memory_bytes: 0x4000,
            offset: 0x1000,
            contents: (0..0x3000u32).map(|n| (n % 251) as u8).collect(),
            notes: Vec::new(),
        }
    }
}

impl Elf {
    fn bytes(&self) -> Vec<u8> {
        let header = |kind: u32, offset: u64, address: u64, file: u64, memory: u64| {
            let mut header = kind.to_le_bytes().to_vec();
            header.extend([0; 4]);
            for field in [offset, address, address, file, memory, 0x1000] {
                header.extend(field.to_le_bytes());
            }
            header
        };
        let notes_bytes = self.notes.len() as u64;
        let mut image = b"\x7fELF\x02\x01\x01".to_vec();
        image.resize(16, 0);
        image.extend(2u16.to_le_bytes());
        image.extend(62u16.to_le_bytes());
        image.extend(1u32.to_le_bytes());
        image.extend(self.entry.to_le_bytes());
        image.extend(64u64.to_le_bytes());
        image.extend([0; 12]);
        image.extend(64u16.to_le_bytes());
        image.extend(56u16.to_le_bytes());
        image.extend(2u16.to_le_bytes());
        image.extend([0; 6]);
        image.extend(header(4, 0x200, 0, notes_bytes, notes_bytes));
        image.extend(header(
            1,
            self.offset,
            self.address,
            self.contents.len() as u64,
            self.memory_bytes,
        ));
        image.resize(0x200, 0);
        image.extend(&self.notes);
        image.resize(self.offset as usize, 0);
        image.extend(&self.contents);
        image
    }
}

/// A note that names PVH's entry point.
fn pvh_note(entry: u32) -> Vec<u8> {
    let mut note = Vec::new();
    for field in [4u32, 4, 18] {
        note.extend(field.to_le_bytes());
    }
    note.extend(b"Xen\0");
    note.extend(entry.to_le_bytes());
    note
}

/// A bzImage that starts at [`ADDRESS`] and needs `init_bytes`, with `contents` for a kernel.
fn bz_image(init_bytes: u32, contents: &[u8]) -> Vec<u8> {
    let mut image = vec![0; 1024];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0x1f1, &[1]);
    put(0x1f4, &((contents.len() / 16) as u32).to_le_bytes());
    put(0x202, b"HdrS");
    put(0x206, &0x20fu16.to_le_bytes());
    put(0x211, &[1]);
    put(0x214, &0x10_0000u32.to_le_bytes());
    put(0x236, &1u16.to_le_bytes());
    put(0x258, &ADDRESS.to_le_bytes());
    put(0x260, &init_bytes.to_le_bytes());
    image.extend(contents);
    image
}

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn parse(bytes: &[u8]) -> Result<Kernel, KernelError> {
    Kernel::parse(file(bytes))
}

fn load(bytes: &[u8], backing: Backing) -> Result<(Loaded, GuestMemory), KernelError> {
    let memory = memory::allocate(MEMORY_BYTES).unwrap();
    let loaded = parse(bytes)?.load(&memory, backing)?;
    Ok((loaded, memory))
}

fn read(memory: &GuestMemory, address: u64, bytes: usize) -> Vec<u8> {
    let mut contents = vec![0; bytes];
    memory
        .read_slice(&mut contents, GuestAddress(address))
        .unwrap();
    contents
}

#[test]
fn a_segment_is_where_it_wants_to_be_whether_mapped_or_copied() {
    for backing in [Backing::Mapped, Backing::Copied] {
        // On whole pages; with edges; in one page; at another offset than its address's.
        for (address, offset, bytes) in [
            (ADDRESS, 0x1000, 0x3000),
            (ADDRESS + 0x123, 0x1123, 0x2e01),
            (ADDRESS + 0x10, 0x1010, 0x20),
            (ADDRESS, 0x1001, 0x3000),
        ] {
            let elf = Elf {
                entry: address,
                address,
                offset,
                contents: (0..bytes).map(|n: u32| (n % 251) as u8).collect(),
                ..Elf::default()
            };
            let (loaded, memory) = load(&elf.bytes(), backing).unwrap();
            let mut expected = vec![0; 16];
            expected.extend(&elf.contents);
            expected.extend([0; 16]);
            let found = read(&memory, address - 16, expected.len());
            assert!(found == expected, "{backing:?} {address:#x} {offset:#x}");
            assert_eq!(loaded.end, address + elf.memory_bytes);
            assert_eq!(loaded.entry, Entry::Long(address));
        }
    }
}

#[test]
fn what_a_guest_writes_does_not_reach_the_kernels_file() {
    let bytes = Elf::default().bytes();
    let image = file(&bytes);
    let memory = memory::allocate(MEMORY_BYTES).unwrap();
    let kernel = Kernel::parse(image.try_clone().unwrap()).unwrap();
    kernel.load(&memory, Backing::Mapped).unwrap();
    memory
        .write_slice(b"changed", GuestAddress(ADDRESS))
        .unwrap();
    let mut now = vec![0; bytes.len()];
    image.read_exact_at(&mut now, 0).unwrap();
    assert!(now == bytes);
}

#[test]
fn a_kernel_that_has_a_pvh_entry_point_is_entered_there() {
    let other = [
        &[1, 0, 0, 0, 3, 0, 0, 0, 9, 0, 0, 0][..],
        b"X\0\0\0",
        b"abc\0",
    ]
    .concat();
    let elf = Elf {
        notes: [other, pvh_note(ADDRESS as u32 + 16)].concat(),
        ..Elf::default()
    };
    let (loaded, _) = load(&elf.bytes(), Backing::Copied).unwrap();
    assert_eq!(loaded.entry, Entry::Pvh(ADDRESS as u32 + 16));
}

#[test]
fn a_bz_image_is_entered_at_its_64_bit_entry_point() {
    let contents = [7; 0x1000];
    let (loaded, memory) = load(&bz_image(0x10_0000, &contents), Backing::Copied).unwrap();
    assert_eq!(loaded.entry, Entry::Long(ADDRESS + 0x200));
    assert_eq!(loaded.end, ADDRESS + 0x10_0000);
    assert_eq!(read(&memory, ADDRESS, contents.len()), contents);
    assert!(loaded.setup_header.is_some());
}

#[test]
fn what_is_no_kernel_is_called_so() {
    for bytes in [
        &[][..],
        b"x",
        b"#!/bin/sh\necho no kernel\n",
        &[0; 4096],
        b"\x7fEL",
    ] {
        assert!(matches!(parse(bytes), Err(KernelError::NotAKernel)));
    }
}

#[test]
fn a_kernel_that_was_cut_off_is_called_so_wherever_that_was() {
    let elf = Elf::default().bytes();
    for length in [5, 63, 64, 100, 0x1000, elf.len() - 1] {
        assert!(
            matches!(parse(&elf[..length]), Err(KernelError::Truncated(_))),
            "ELF of {length} bytes"
        );
    }
    let bz_image = bz_image(0x10_0000, &[0; 0x1000]);
    for length in [0x264, 1024, bz_image.len() - 1] {
        assert!(
            matches!(parse(&bz_image[..length]), Err(KernelError::Truncated(_))),
            "bzImage of {length} bytes"
        );
    }
}

#[test]
fn a_kernel_for_another_machine_is_refused() {
    let changed = |at: usize, byte: u8| {
        let mut bytes = Elf::default().bytes();
        bytes[at] = byte;
        parse(&bytes)
    };
    // 32 bits, big-endian, position-independent, AArch64.
    for (at, byte) in [(4, 1), (5, 2), (16, 3), (18, 183)] {
        assert!(matches!(changed(at, byte), Err(KernelError::WrongElf)));
    }
    let mut old = bz_image(0x10_0000, &[0; 0x1000]);
    old[0x206] = 0x0b;
    assert!(matches!(parse(&old), Err(KernelError::No64BitEntry)));
    let mut only_32_bit = bz_image(0x10_0000, &[0; 0x1000]);
    only_32_bit[0x236] = 0;
    assert!(matches!(
        parse(&only_32_bit),
        Err(KernelError::No64BitEntry)
    ));
}

#[test]
fn a_kernel_that_does_not_fit_is_refused_before_it_is_loaded() {
    for (address, memory_bytes) in [
        (0x1000, 0x4000),
        (MEMORY_BYTES - 0x3000, 0x4000),
        (MEMORY_BYTES, 0x4000),
        (u64::MAX - 0x4000, 0x4000),
        (ADDRESS, u64::MAX),
    ] {
        let elf = Elf {
            entry: address,
            address,
            memory_bytes,
            ..Elf::default()
        };
        assert!(
            matches!(
                load(&elf.bytes(), Backing::Mapped),
                Err(KernelError::DoesNotFit { .. })
            ),
            "{address:#x} {memory_bytes:#x}"
        );
    }
    assert!(matches!(
        load(&bz_image(u32::MAX, &[0; 0x1000]), Backing::Copied),
        Err(KernelError::DoesNotFit { .. })
    ));
}

#[test]
fn an_entry_point_must_be_in_what_is_loaded() {
    for entry in [0, ADDRESS - 1, ADDRESS + 0x3000, u64::MAX] {
        let elf = Elf {
            entry,
            ..Elf::default()
        };
        assert!(matches!(parse(&elf.bytes()), Err(KernelError::BadElf(_))));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        let _ = parse(&bytes);
    }

    /// A right image with some bytes of its headers changed: whatever comes of it, it is an
    /// error or a kernel within guest memory.
    #[test]
    fn no_change_of_an_elf_image_leads_out_of_guest_memory(
        changes in prop::collection::vec((0usize..0x220, any::<u8>()), 1..8),
        mapped: bool,
    ) {
        let elf = Elf { notes: pvh_note(ADDRESS as u32), ..Elf::default() };
        let mut bytes = elf.bytes();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        let backing = if mapped { Backing::Mapped } else { Backing::Copied };
        if let Ok((loaded, _)) = load(&bytes, backing) {
            prop_assert!(loaded.end <= MEMORY_BYTES);
        }
    }

    #[test]
    fn no_change_of_a_bz_image_leads_out_of_guest_memory(
        changes in prop::collection::vec((0x1f0usize..0x270, any::<u8>()), 1..8),
    ) {
        let mut bytes = bz_image(0x10_0000, &[0; 0x1000]);
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        if let Ok((loaded, _)) = load(&bytes, Backing::Copied) {
            prop_assert!(loaded.end <= MEMORY_BYTES);
        }
    }
}
