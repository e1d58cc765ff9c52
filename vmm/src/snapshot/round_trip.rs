//! Tests of what is saved and restored: through real files and real mappings.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryRegion};

use super::*;
use crate::layout;
use crate::memory::{self, GuestMemory};

const PAGE: usize = PAGE_BYTES as usize;

/// Saves `memory` in a new directory.
fn save(memory: &GuestMemory) -> (TempDir, PathBuf, SavedMemory) {
    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("snapshot");
    let draft = Draft::create(&dir).unwrap();
    let saved = draft
        .files()
        .write_memory(memory, &AddressSpace::of_process().unwrap())
        .unwrap();
    let description = sample::description(saved.clone());
    draft.files().write_state(&description, &"machine").unwrap();
    draft.sync().unwrap();
    (parent, dir, saved)
}

fn open(dir: &Path, saved: &SavedMemory) -> Result<MemoryFile, MemoryFileError> {
    MemoryFile::open(dir, saved, Some(&sample::breaks()))
}

/// Opens and verifies.
fn verify(dir: &Path, saved: &SavedMemory) -> Result<MemoryFile, MemoryFileError> {
    let memory = open(dir, saved)?;
    verified::verify(dir, &memory, saved)?;
    Ok(memory)
}

fn touch(memory: &GuestMemory, address: u64) {
    memory
        .write_slice(
            &address.to_le_bytes().repeat(PAGE / 8),
            GuestAddress(address),
        )
        .unwrap();
}

fn page(memory: &GuestMemory, address: u64) -> Vec<u8> {
    let mut page = vec![0xff; PAGE];
    memory.read_slice(&mut page, GuestAddress(address)).unwrap();
    page
}

fn assert_same(left: &GuestMemory, right: &GuestMemory) {
    for region in left.iter() {
        for page_start in (0..region.len()).step_by(PAGE) {
            let address = region.start_addr().0 + page_start;
            assert!(page(left, address) == page(right, address), "{address:#x}");
        }
    }
}

#[test]
fn memory_is_restored_as_it_was() {
    let before = memory::allocate(8 << 20).unwrap();
    for address in [0, 0x1000, 0x20_0000, 0x7f_f000] {
        touch(&before, address);
    }
    let (_parent, dir, saved) = save(&before);
    let file = verify(&dir, &saved).unwrap();
    assert_same(&before, &memory::restore(&file, &saved).unwrap());
}

#[test]
fn what_a_restored_machine_writes_stays_its_own() {
    let before = memory::allocate(1 << 20).unwrap();
    touch(&before, 0x3000);
    let (_parent, dir, saved) = save(&before);
    let file = verify(&dir, &saved).unwrap();
    let first = memory::restore(&file, &saved).unwrap();
    touch(&first, 0x2000);
    first.write_obj(7_u64, GuestAddress(0x3000)).unwrap();
    assert_same(&before, &memory::restore(&file, &saved).unwrap());
}

#[test]
fn a_restored_machine_can_be_saved_again() {
    let before = memory::allocate(4 << 20).unwrap();
    touch(&before, 0x10_0000);
    touch(&before, 0x30_0000);
    let (_parent, dir, saved) = save(&before);
    let file = verify(&dir, &saved).unwrap();
    let restored = memory::restore(&file, &saved).unwrap();
    // Nothing of it was touched.
    let (_parent, dir, again) = save(&restored);
    assert_eq!(again, saved);
    let file = verify(&dir, &again).unwrap();
    assert_same(&before, &memory::restore(&file, &again).unwrap());
}

#[test]
fn only_pages_with_something_in_them_take_room() {
    let memory = memory::allocate(64 << 20).unwrap();
    touch(&memory, 0x100_0000);
    for zero in 0..1024 {
        let address = GuestAddress(0x200_0000 + zero * PAGE_BYTES);
        memory.write_slice(&[0; PAGE], address).unwrap();
    }
    let (_parent, dir, saved) = save(&memory);
    let expected = Extent {
        offset: 0x100_0000,
        bytes: PAGE_BYTES,
    };
    assert_eq!(saved.extents().iter().collect::<Vec<_>>(), [expected]);
    let file = fs::metadata(dir.join(MEMORY)).unwrap();
    assert_eq!(file.len(), 64 << 20);
    assert!(file.blocks() * 512 <= 16 * PAGE_BYTES, "{}", file.blocks());
}

#[test]
fn a_page_of_a_mapped_file_is_saved_though_it_was_never_touched() {
    let elsewhere = TempDir::new().unwrap();
    let path = elsewhere.path().join("kernel");
    fs::write(&path, [5; 2 * PAGE]).unwrap();
    let memory = memory::allocate(1 << 20).unwrap();
    let kernel = File::open(&path).unwrap();
    let place = memory.get_slice(GuestAddress(0x8000), 2 * PAGE).unwrap();
    // SAFETY: replaces two whole pages of guest memory by a mapping of the same access, of a file
    // that is long enough and that nobody changes; the memory unmaps it with the rest.
    let mapped = unsafe {
        libc::mmap(
            place.ptr_guard_mut().as_ptr().cast(),
            2 * PAGE,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_FIXED,
            std::os::fd::AsRawFd::as_raw_fd(&kernel),
            0,
        )
    };
    assert_ne!(mapped, libc::MAP_FAILED);
    let (_parent, _, saved) = save(&memory);
    let expected = Extent {
        offset: 0x8000,
        bytes: 2 * PAGE_BYTES,
    };
    assert_eq!(saved.extents().iter().collect::<Vec<_>>(), [expected]);
}

#[test]
fn memory_around_the_hole_is_restored_where_it_was() {
    let bytes = layout::HOLE + (1 << 20);
    let before = memory::allocate(bytes).unwrap();
    let around = [layout::HOLE - PAGE_BYTES, layout::HOLE_END];
    for address in around {
        touch(&before, address);
    }
    let (_parent, dir, saved) = save(&before);
    // One extent, as RAM is one without the hole.
    assert_eq!(saved.extents().count(), 1);
    let file = verify(&dir, &saved).unwrap();
    let restored = memory::restore(&file, &saved).unwrap();
    for address in around {
        assert_eq!(page(&restored, address), page(&before, address));
    }
}

#[test]
fn a_changed_memory_file_is_found_damaged() {
    let memory = memory::allocate(1 << 20).unwrap();
    touch(&memory, 0x5000);
    let (_parent, dir, saved) = save(&memory);
    let path = dir.join(MEMORY);
    for offset in [0x5000, 0x5fff] {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).unwrap();
        file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
        drop(file);
        let error = verify(&dir, &saved).unwrap_err();
        assert!(matches!(error, MemoryFileError::Damaged(_)), "{error}");
        OpenOptions::new()
            .write(true)
            .open(&path)
            .unwrap()
            .write_all_at(&byte, offset)
            .unwrap();
        verify(&dir, &saved).unwrap();
    }
}

#[test]
fn another_snapshots_memory_is_found_to_be_another() {
    let [(_one, dir, saved), (_other, other, _)] = [0x1000, 0x2000].map(|address| {
        let memory = memory::allocate(1 << 20).unwrap();
        touch(&memory, address);
        save(&memory)
    });
    fs::copy(other.join(MEMORY), dir.join(MEMORY)).unwrap();
    let error = verify(&dir, &saved).unwrap_err();
    assert!(matches!(error, MemoryFileError::Damaged(_)), "{error}");
}

#[test]
fn a_file_that_was_verified_is_not_read_again_and_a_copy_is() {
    let memory = memory::allocate(1 << 20).unwrap();
    touch(&memory, 0x1000);
    let (_parent, dir, saved) = save(&memory);
    let remembered = || fs::read_to_string(dir.join(VERIFIED)).unwrap();
    let of_maker = remembered();
    verify(&dir, &saved).unwrap();
    assert_eq!(remembered(), of_maker);

    fs::copy(dir.join(MEMORY), dir.join("copy")).unwrap();
    fs::rename(dir.join("copy"), dir.join(MEMORY)).unwrap();
    verify(&dir, &saved).unwrap();
    assert_ne!(remembered(), of_maker);
}

#[test]
fn what_is_remembered_and_makes_no_sense_is_not_believed() {
    let memory = memory::allocate(1 << 20).unwrap();
    touch(&memory, 0x1000);
    let (_parent, dir, saved) = save(&memory);
    let path = dir.join(VERIFIED);
    let sensible = fs::read_to_string(&path).unwrap();
    for garbage in ["", "yes\n", &sensible.repeat(99), &sensible[1..]] {
        fs::write(&path, garbage).unwrap();
        verify(&dir, &saved).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), sensible);
    }
}

#[test]
fn a_snapshot_is_its_owners_alone() {
    let (_parent, dir, _) = save(&memory::allocate(1 << 20).unwrap());
    for (path, mode) in [
        (dir.clone(), 0o700),
        (dir.join(STATE), 0o600),
        (dir.join(MEMORY), 0o600),
        (dir.join(VERIFIED), 0o600),
    ] {
        let found = fs::metadata(&path).unwrap().mode() & 0o7777;
        assert_eq!(found, mode, "{}", path.display());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_pages_are_restored(
        pages in prop::collection::btree_map(0_u64..256, any::<u8>(), 0..64),
    ) {
        let pages: BTreeMap<u64, u8> = pages;
        let before = memory::allocate(1 << 20).unwrap();
        for (number, byte) in pages {
            let address = GuestAddress(number * PAGE_BYTES + u64::from(byte));
            before.write_slice(&[byte], address).unwrap();
        }
        let (_parent, dir, saved) = save(&before);
        let file = verify(&dir, &saved).unwrap();
        assert_same(&before, &memory::restore(&file, &saved).unwrap());
    }
}
