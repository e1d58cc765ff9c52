use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};

use super::*;

const DISCARD: u32 = 11;
const WRITE_ZEROES: u32 = 13;
const UNMAP: u32 = 1;

/// Larger than a block of any file system.
const SECTORS: u64 = 512;
const DISK_BYTES: usize = SECTORS as usize * 512;

/// A guest with a disk that it can write, all ones, and the file behind that.
fn guest() -> (Guest, File) {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[1; DISK_BYTES]).unwrap();
    let disk = file.try_clone().unwrap();
    let block = Block::new(disk, Access::ReadWrite, Id::default()).unwrap();
    (Guest::of(block, 16, true), file)
}

fn content(file: &File) -> Vec<u8> {
    let mut content = vec![0xff; DISK_BYTES];
    file.read_exact_at(&mut content, 0).unwrap();
    assert_eq!(file.metadata().unwrap().len(), DISK_BYTES as u64);
    content
}

impl Guest {
    /// A request that hands something over.
    fn give(&mut self, kind: u32, sector: u64, given: &[u8]) -> (u32, u8) {
        self.write_header(kind, sector);
        self.driver.write(DATA, given);
        self.driver.write(STATUS, &[UNTOUCHED]);
        self.request(&[
            readable(HEADER, 16),
            readable(DATA, given.len() as u32),
            writable(STATUS, 1),
        ])
    }

    fn erase(&mut self, kind: u32, ranges: &[(u64, u32, u32)]) -> u8 {
        let listed: Vec<_> = ranges
            .iter()
            .flat_map(|(sector, sectors, flags)| {
                let mut range = sector.to_le_bytes().to_vec();
                range.extend(sectors.to_le_bytes());
                range.extend(flags.to_le_bytes());
                range
            })
            .collect();
        let (used, status) = self.give(kind, 0, &listed);
        assert_eq!(used, 1);
        status
    }
}

#[test]
fn a_disk_that_can_be_written_offers_what_belongs_to_that() {
    let (guest, _file) = guest();
    let has = |feature: u32| guest.block.features() & (1 << feature) != 0;
    assert!(!has(VIRTIO_BLK_F_RO));
    assert!(has(VIRTIO_BLK_F_FLUSH) && has(VIRTIO_BLK_F_DISCARD) && has(VIRTIO_BLK_F_WRITE_ZEROES));
    let config = guest.block.config();
    assert_eq!(config[..8], SECTORS.to_le_bytes());
    for (field, value) in [(36, 1 << 21), (40, 16), (44, 1), (48, 1 << 21), (52, 16)] {
        assert_eq!(config[field..field + 4], u32::to_le_bytes(value), "{field}");
    }
    assert_eq!(config[56], 1);
}

#[test]
fn what_is_written_is_in_the_file_and_nothing_else_changes() {
    let (mut guest, file) = guest();
    let mut expected = [1; DISK_BYTES];
    expected[1024..3072].fill(7);
    assert_eq!(guest.give(WRITE, 2, &[7; 2048]), (1, OK));
    assert_eq!(content(&file), expected);
    assert_eq!(guest.usual(READ, 2, 512), (513, OK));
    assert_eq!(guest.driver.read(DATA, 512), [7; 512]);
}

#[test]
fn what_is_written_may_be_cut_anywhere() {
    let (mut guest, file) = guest();
    guest.write_header(WRITE, 1);
    guest.driver.write(DATA, &[7; 1024]);
    // The header and the first bytes of the data in one.
    guest.driver.write(HEADER + 16, &[7; 4]);
    let chain = [
        readable(HEADER, 20),
        readable(DATA, 1),
        readable(DATA + 1, 507),
        readable(DATA, 512),
        writable(STATUS, 1),
    ];
    assert_eq!(guest.request(&chain), (1, OK));
    let mut expected = [1; DISK_BYTES];
    expected[512..1536].fill(7);
    assert_eq!(content(&file), expected);
}

#[test]
fn a_write_that_is_not_all_on_the_disk_writes_nothing() {
    let (mut guest, file) = guest();
    for (sector, bytes) in [
        (SECTORS, 512),
        (SECTORS - 1, 1024),
        (u64::MAX, 512),
        (1 << 55, 512),
        (0, 100),
        (0, 513),
    ] {
        assert_eq!(guest.give(WRITE, sector, &vec![7; bytes]), (1, IOERR));
    }
    assert_eq!(content(&file), [1; DISK_BYTES]);
}

#[test]
fn a_part_of_a_sector_at_the_end_can_not_be_written() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[1; 1000]).unwrap();
    let block = Block::new(file, Access::ReadWrite, Id::default()).unwrap();
    assert_eq!(block.sectors(), 1);
    let mut guest = Guest::of(block, 16, true);
    assert_eq!(guest.give(WRITE, 1, &[7; 512]), (1, IOERR));
}

/// What can't be made durable is told: the null device refuses `fdatasync(2)`.
#[test]
fn a_flush_reaches_the_file() {
    let null = File::options().read(true).write(true).open("/dev/null");
    let block = Block::new(null.unwrap(), Access::ReadWrite, Id::default()).unwrap();
    let mut guest = Guest::of(block, 16, true);
    assert_eq!(guest.give(FLUSH, 0, &[]), (1, IOERR));
    let (mut guest, _file) = super::writing::guest();
    assert_eq!(guest.give(FLUSH, 0, &[]), (1, OK));
}

#[test]
fn a_driver_that_never_flushes_has_each_write_flushed() {
    let flush = 1 << VIRTIO_BLK_F_FLUSH;
    for (features, status) in [(0, IOERR), (flush, OK)] {
        let null = File::options().read(true).write(true).open("/dev/null");
        let block = Block::new(null.unwrap(), Access::ReadWrite, Id::default()).unwrap();
        let mut guest = Guest::of(block, 16, true);
        guest.block.negotiated(features);
        // Nothing is written, as there is no room; it is flushed all the same.
        assert_eq!(guest.give(WRITE, 0, &[]), (1, status), "{features:#x}");
    }
}

#[test]
fn discarded_sectors_take_no_room() {
    let (mut guest, file) = guest();
    // Room is taken late.
    file.sync_all().unwrap();
    let before = file.metadata().unwrap().blocks();
    let half = SECTORS as u32 / 2;
    assert_eq!(guest.erase(DISCARD, &[(0, half, 0)]), OK);
    let mut expected = [1; DISK_BYTES];
    expected[..DISK_BYTES / 2].fill(0);
    assert_eq!(content(&file), expected);
    assert!(file.metadata().unwrap().blocks() < before);
}

#[test]
fn zeroed_sectors_are_zero_and_keep_their_room_unless_they_need_not() {
    for (flags, keeps) in [(0, true), (UNMAP, false)] {
        let (mut guest, file) = guest();
        file.sync_all().unwrap();
        let before = file.metadata().unwrap().blocks();
        let ranges = [(8, 128, flags), (256, 128, flags)];
        match guest.erase(WRITE_ZEROES, &ranges) {
            OK => {}
            UNSUPP => {
                eprintln!("SKIPPED: the file system of temporary files can't do that");
                continue;
            }
            status => panic!("{status}"),
        }
        let mut expected = [1; DISK_BYTES];
        expected[8 * 512..136 * 512].fill(0);
        expected[256 * 512..384 * 512].fill(0);
        assert_eq!(content(&file), expected);
        let after = file.metadata().unwrap().blocks();
        assert_eq!(
            after >= before,
            keeps,
            "{flags}: {before} and {after} blocks"
        );
    }
}

#[test]
fn if_one_range_is_wrong_none_is_erased() {
    let most = 1 << 21;
    type Ranges<'a> = &'a [(u64, u32, u32)];
    let cases: [(u32, Ranges<'_>, u8); 9] = [
        (DISCARD, &[(0, 8, 0), (SECTORS, 1, 0)], IOERR),
        (DISCARD, &[(0, 8, 0), (u64::MAX, 8, 0)], IOERR),
        (DISCARD, &[(0, 8, 0), (1 << 55, 8, 0)], IOERR),
        (DISCARD, &[(0, 8, 0), (0, most + 1, 0)], IOERR),
        (DISCARD, &[(0, 8, 0), (0, u32::MAX, 0)], IOERR),
        (DISCARD, &[(0, 8, UNMAP)], UNSUPP),
        (WRITE_ZEROES, &[(0, 8, 0), (0, 8, 2)], UNSUPP),
        (WRITE_ZEROES, &[(0, 8, u32::MAX)], UNSUPP),
        (WRITE_ZEROES, &[], IOERR),
    ];
    for (kind, ranges, status) in cases {
        let (mut guest, file) = guest();
        assert_eq!(guest.erase(kind, ranges), status, "{ranges:?}");
        assert_eq!(content(&file), [1; DISK_BYTES], "{ranges:?}");
    }
    let (mut guest, file) = guest();
    for listed in [&[0; 15][..], &[0; 17], &[0; 17 * 16]] {
        assert_eq!(guest.give(DISCARD, 0, listed), (1, IOERR));
    }
    assert_eq!(content(&file), [1; DISK_BYTES]);
}

#[test]
fn nothing_of_a_read_only_disk_is_erased() {
    let mut guest = Guest::new();
    for kind in [DISCARD, WRITE_ZEROES] {
        assert_eq!(guest.erase(kind, &[(0, 1, 0)]), UNSUPP);
    }
    assert_eq!(guest.usual(READ, 0, 512), (513, OK));
    assert_eq!(guest.driver.read(DATA, 512), image()[..512]);
}

#[test]
fn an_empty_place_shows_no_device() {
    let block = Block::vacant().unwrap();
    assert_eq!((block.device_id(), block.sectors()), (0, 0));
    let with_disk = guest().0.block;
    assert_eq!(block.config().len(), with_disk.config().len());
    let mut guest = Guest::of(block, 16, true);
    guest
        .driver
        .offer(&[readable(HEADER, 16), writable(STATUS, 1)]);
    guest.block.serve();
    assert_eq!(guest.driver.used_index(), 0);
}

proptest! {
    #[test]
    fn no_request_makes_it_panic_or_keep_a_buffer_or_grow_the_disk(
        descriptors in prop::collection::vec(descriptor(), 16),
        heads in prop::collection::vec(0u16..16, 0..16),
        kind in prop_oneof![Just(WRITE), Just(FLUSH), Just(DISCARD), Just(WRITE_ZEROES), 0u32..16],
        sector in prop_oneof![4 => 0..SECTORS + 4, 1 => any::<u64>()],
        listed in prop::collection::vec(
            (prop_oneof![0..SECTORS, any::<u64>()], prop_oneof![0..600_u32, any::<u32>()], 0u32..3),
            0..40,
        ),
    ) {
        let (mut guest, file) = guest();
        guest.block.negotiated(1 << VIRTIO_BLK_F_FLUSH);
        guest.write_header(kind, sector);
        for (at, (sector, sectors, flags)) in (DATA..).step_by(16).zip(listed) {
            guest.driver.write(at, &sector.to_le_bytes());
            guest.driver.write(at + 8, &sectors.to_le_bytes());
            guest.driver.write(at + 12, &flags.to_le_bytes());
        }
        for (i, (address, bytes, flags, next)) in (0..).zip(descriptors) {
            guest.driver.store_descriptor(i, address, bytes, flags, next);
        }
        for head in &heads {
            guest.driver.make_available(*head);
        }
        guest.block.serve();
        let used: Vec<_> = guest.driver.take_used().into_iter().map(|(head, _)| head).collect();
        prop_assert!(!guest.needs_reset());
        prop_assert_eq!(used, heads);
        prop_assert_eq!(content(&file).len(), DISK_BYTES);
    }
}
