use std::io::Write as _;

use proptest::prelude::*;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::*;
use crate::devices::virtio::driver::{Driver, Offer, readable, writable};
use crate::memory::GuestMemory;

mod writing;

const MEMORY_BYTES: u64 = 16 << 20;
const RINGS: u64 = 0x1000;
const HEADER: u64 = 0x10_0000;
const DATA: u64 = 0x20_0000;
const STATUS: u64 = 0x11_0000;

const READ: u32 = 0;
const WRITE: u32 = 1;
const FLUSH: u32 = 4;
const GET_ID: u32 = 8;

const OK: u8 = 0;
const IOERR: u8 = 1;
const UNSUPP: u8 = 2;
/// No status at all.
const UNTOUCHED: u8 = 0xee;

/// Not a whole number of sectors.
const IMAGE_BYTES: usize = 20 * 512 + 100;

fn image() -> Vec<u8> {
    (0..IMAGE_BYTES).map(|i| (i * 7 + i / 512) as u8).collect()
}

/// The image, with zeros up to the end of its last sector.
fn disk() -> Vec<u8> {
    let mut disk = image();
    disk.resize(IMAGE_BYTES.next_multiple_of(512), 0);
    disk
}

struct Guest {
    driver: Driver,
    block: Block,
    irqfd: EventFd,
}

impl Guest {
    fn new() -> Self {
        Self::with(&image(), 16, true)
    }

    fn with(image: &[u8], queue_size: u16, event_idx: bool) -> Self {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(image).unwrap();
        let block = Block::new(file, Access::ReadOnly, "serial".parse().unwrap());
        Self::of(block.unwrap(), queue_size, event_idx)
    }

    fn of(mut block: Block, queue_size: u16, event_idx: bool) -> Self {
        let memory: GuestMemory = crate::memory::allocate(MEMORY_BYTES).unwrap();
        let driver = Driver::new(&memory, RINGS, queue_size);
        let irqfd = EventFd::new(EFD_NONBLOCK).unwrap();
        block
            .activate(
                vec![driver.device_queue(event_idx)],
                Interrupt::new(irqfd.try_clone().unwrap()),
            )
            .unwrap();
        driver.write(STATUS, &[UNTOUCHED]);
        Self {
            driver,
            block,
            irqfd,
        }
    }

    fn write_header(&self, kind: u32, sector: u64) {
        self.driver.write(HEADER, &kind.to_le_bytes());
        self.driver.write(HEADER + 8, &sector.to_le_bytes());
    }

    /// Offers the chain, wakes the device, and returns the bytes it has used and the status.
    fn request(&mut self, chain: &[Offer]) -> (u32, u8) {
        let head = self.driver.offer(chain);
        self.block.serve();
        let used = self.driver.take_used();
        assert_eq!(used.len(), 1);
        assert_eq!(used[0].0, head);
        (used[0].1, self.driver.read(STATUS, 1)[0])
    }

    /// A request of the usual form.
    fn usual(&mut self, kind: u32, sector: u64, bytes: u32) -> (u32, u8) {
        self.write_header(kind, sector);
        self.request(&[
            readable(HEADER, 16),
            writable(DATA, bytes),
            writable(STATUS, 1),
        ])
    }

    fn needs_reset(&self) -> bool {
        self.block.slots.served().is_none()
    }
}

#[test]
fn the_configuration_has_the_capacity_in_whole_sectors() {
    let guest = Guest::new();
    let config = guest.block.config();
    assert_eq!(config[..8], 21u64.to_le_bytes());
    assert_eq!(config[12..16], 126u32.to_le_bytes());
    assert_eq!(config[20..24], 512u32.to_le_bytes());
}

#[test]
fn every_sector_is_read_as_it_is_in_the_image() {
    let mut guest = Guest::new();
    for sector in 0..21 {
        assert_eq!(guest.usual(READ, sector, 512), (513, OK), "{sector}");
        let start = sector as usize * 512;
        assert_eq!(guest.driver.read(DATA, 512), disk()[start..start + 512]);
    }
}

#[test]
fn a_read_past_the_end_is_an_error_and_touches_nothing() {
    let mut guest = Guest::new();
    for (sector, bytes) in [
        (21, 512),
        (20, 1024),
        (0, 22 * 512),
        (u64::MAX, 512),
        (u64::MAX / 512, 512),
        (1 << 55, 512),
    ] {
        assert_eq!(guest.usual(READ, sector, bytes), (0, IOERR), "{sector}");
        assert_eq!(guest.driver.read(DATA, 512), [0; 512], "{sector}");
    }
}

#[test]
fn a_read_of_no_whole_sectors_is_an_error() {
    let mut guest = Guest::new();
    for bytes in [1, 511, 513] {
        assert_eq!(guest.usual(READ, 0, bytes), (0, IOERR), "{bytes}");
    }
}

#[test]
fn a_file_that_became_shorter_is_an_error() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&image()).unwrap();
    let mut guest = Guest::new();
    guest.block = Block {
        slots: guest.block.slots,
        ..Block::new(file.try_clone().unwrap(), Access::ReadOnly, Id::default()).unwrap()
    };
    file.set_len(1000).unwrap();
    assert_eq!(guest.usual(READ, 0, 512), (513, OK));
    assert_eq!(guest.usual(READ, 1, 512), (0, IOERR));
}

#[test]
fn nothing_is_written_to_a_read_only_disk() {
    let mut guest = Guest::new();
    guest.write_header(WRITE, 0);
    let chain = [
        readable(HEADER, 16),
        readable(DATA, 512),
        writable(STATUS, 1),
    ];
    assert_eq!(guest.request(&chain), (1, IOERR));
    assert_eq!(guest.usual(READ, 0, 512), (513, OK));
    assert_eq!(guest.driver.read(DATA, 512), image()[..512]);
}

#[test]
fn a_flush_has_nothing_to_do() {
    let mut guest = Guest::new();
    guest.write_header(FLUSH, 0);
    let chain = [readable(HEADER, 16), writable(STATUS, 1)];
    assert_eq!(guest.request(&chain), (1, OK));
}

#[test]
fn the_serial_number_is_padded_with_nul_bytes() {
    let mut guest = Guest::new();
    assert_eq!(guest.usual(GET_ID, 0, 20), (21, OK));
    assert_eq!(
        guest.driver.read(DATA, 20),
        *b"serial\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    );
    assert_eq!(guest.usual(GET_ID, 0, 19), (0, IOERR));
}

#[test]
fn a_serial_number_has_at_most_twenty_bytes() {
    assert!("12345678901234567890".parse::<Id>().is_ok());
    assert!("123456789012345678901".parse::<Id>().is_err());
}

#[test]
fn what_was_not_offered_is_unsupported() {
    let mut guest = Guest::new();
    for kind in [2, 3, 11, 13, 14, u32::MAX] {
        assert_eq!(guest.usual(kind, 0, 512), (0, UNSUPP), "{kind}");
    }
}

#[test]
fn buffers_may_be_cut_anywhere() {
    let mut guest = Guest::new();
    guest.write_header(READ, 1);
    let chain = [
        readable(HEADER, 3),
        readable(HEADER + 3, 13),
        writable(DATA, 1),
        writable(DATA + 1, 510),
        // The last bytes of the data and the status in one.
        writable(DATA + 511, 514),
    ];
    let (used, _) = guest.request(&chain);
    assert_eq!(used, 1025);
    assert_eq!(guest.driver.read(DATA, 1024), disk()[512..1536]);
    assert_eq!(guest.driver.read(DATA + 1024, 1), [OK]);
}

#[test]
fn a_chain_that_is_too_short_is_given_back() {
    let mut guest = Guest::new();
    guest.write_header(READ, 0);
    for (chain, answer) in [
        // No room for a status.
        (vec![readable(HEADER, 16)], (0, UNTOUCHED)),
        (
            vec![readable(HEADER, 16), writable(STATUS, 0)],
            (0, UNTOUCHED),
        ),
        // No whole header.
        (vec![readable(HEADER, 15), writable(STATUS, 1)], (1, IOERR)),
        (vec![writable(STATUS, 1)], (1, IOERR)),
    ] {
        guest.driver.write(STATUS, &[UNTOUCHED]);
        assert_eq!(guest.request(&chain), answer, "{chain:?}");
    }
}

#[test]
fn a_buffer_outside_of_memory_is_not_touched() {
    let mut guest = Guest::new();
    guest.write_header(READ, 0);
    for (address, bytes) in [
        (MEMORY_BYTES, 512),
        (MEMORY_BYTES - 511, 512),
        (u64::MAX - 511, 512),
        (u64::MAX - 100, 512),
        (DATA, u32::MAX),
    ] {
        let chain = [
            readable(HEADER, 16),
            writable(address, bytes),
            writable(STATUS, 1),
        ];
        assert_eq!(guest.request(&chain), (0, UNTOUCHED), "{address:#x}");
        assert!(!guest.needs_reset());
    }
}

#[test]
fn a_readable_buffer_behind_a_writable_one_is_refused() {
    let mut guest = Guest::new();
    guest.write_header(READ, 0);
    let chain = [
        writable(DATA, 512),
        readable(HEADER, 16),
        writable(STATUS, 1),
    ];
    assert_eq!(guest.request(&chain), (0, UNTOUCHED));
}

#[test]
fn a_chain_that_runs_in_a_circle_is_given_back() {
    let mut guest = Guest::new();
    guest.write_header(READ, 0);
    let (next, write) = (1, 2);
    guest.driver.store_descriptor(0, HEADER, 16, next, 1);
    guest.driver.store_descriptor(1, DATA, 512, next | write, 2);
    guest.driver.store_descriptor(2, STATUS, 1, next | write, 1);
    guest.driver.make_available(0);
    guest.block.serve();
    assert_eq!(guest.driver.take_used(), [(0, 0)]);
    assert_eq!(guest.driver.read(STATUS, 1), [UNTOUCHED]);
}

#[test]
fn an_indirect_chain_is_served_up_to_the_length_of_the_queue() {
    for (segments, answer) in [(14, Some(OK)), (15, None)] {
        let mut guest = Guest::new();
        guest.write_header(READ, 0);
        let table = Driver::new(&guest.driver.memory, 0x8_0000, 64);
        table.store_descriptor(0, HEADER, 16, 1, 1);
        for i in 1..=segments {
            table.store_descriptor(i, DATA + u64::from(i) * 512, 512, 3, i + 1);
        }
        table.store_descriptor(segments + 1, STATUS, 1, 2, 0);
        let bytes = (u32::from(segments) + 2) * 16;
        guest.driver.store_descriptor(0, 0x8_0000, bytes, 4, 0);
        guest.driver.make_available(0);
        guest.block.serve();
        assert_eq!(guest.driver.take_used().len(), 1);
        assert_eq!(
            guest.driver.read(STATUS, 1),
            [answer.unwrap_or(UNTOUCHED)],
            "{segments}"
        );
    }
}

#[test]
fn an_index_that_runs_ahead_of_the_queue_breaks_it() {
    let mut guest = Guest::new();
    guest.driver.set_available_index(17);
    guest.block.serve();
    assert!(guest.needs_reset());
    assert_eq!(guest.driver.used_index(), 0);
}

#[test]
fn a_head_that_does_not_exist_breaks_the_queue() {
    let mut guest = Guest::new();
    guest.driver.make_available(16);
    guest.block.serve();
    assert!(guest.needs_reset());
}

#[test]
fn many_requests_make_one_interrupt() {
    for event_idx in [true, false] {
        let mut guest = Guest::with(&image(), 16, event_idx);
        guest.write_header(READ, 0);
        for _ in 0..5 {
            guest.driver.offer(&[
                readable(HEADER, 16),
                writable(DATA, 512),
                writable(STATUS, 1),
            ]);
        }
        guest.block.serve();
        assert_eq!(guest.driver.take_used().len(), 5);
        assert_eq!(guest.irqfd.read().ok(), Some(1), "event_idx: {event_idx}");
        guest.block.serve();
        assert!(guest.irqfd.read().is_err());
    }
}

#[test]
fn a_driver_that_wants_no_interrupt_yet_gets_none() {
    let mut guest = Guest::new();
    guest.driver.set_used_event(1);
    guest.usual(READ, 0, 512);
    assert!(guest.irqfd.read().is_err());
    guest.usual(READ, 0, 512);
    assert!(guest.irqfd.read().is_ok());
}

#[test]
fn a_disk_that_was_reset_touches_nothing() {
    let mut guest = Guest::new();
    guest.write_header(READ, 0);
    guest.driver.offer(&[
        readable(HEADER, 16),
        writable(DATA, 512),
        writable(STATUS, 1),
    ]);
    guest.block.reset();
    guest.block.serve();
    assert_eq!(guest.driver.used_index(), 0);
}

#[test]
fn an_event_manager_wakes_it() {
    use event_manager::{EventManager, MutEventSubscriber, SubscriberOps};
    use std::sync::{Arc, Mutex};

    let mut guest = Guest::new();
    guest.write_header(READ, 0);
    guest.driver.offer(&[
        readable(HEADER, 16),
        writable(DATA, 512),
        writable(STATUS, 1),
    ]);
    let notify = guest.block.slots.offered()[0].notify.try_clone().unwrap();
    let mut manager: EventManager<Arc<Mutex<dyn MutEventSubscriber + Send>>> =
        EventManager::new().unwrap();
    manager.add_subscriber(Arc::new(Mutex::new(guest.block)));
    notify.write(1).unwrap();
    assert_eq!(manager.run_with_timeout(1000).unwrap(), 1);
    assert_eq!(guest.driver.read(STATUS, 1), [OK]);
    // It has nothing more to do.
    assert_eq!(manager.run_with_timeout(0).unwrap(), 0);
}

/// A descriptor that mostly makes some sense.
fn descriptor() -> impl Strategy<Value = (u64, u32, u16, u16)> {
    let address = prop_oneof![
        3 => Just(HEADER),
        3 => DATA..DATA + 0x1000,
        1 => MEMORY_BYTES - 600..MEMORY_BYTES + 600,
        1 => any::<u64>(),
    ];
    let bytes = prop_oneof![
        2 => Just(16u32),
        2 => (0u32..5).prop_map(|sectors| sectors * 512),
        2 => 0u32..600,
        1 => any::<u32>(),
    ];
    (address, bytes, 0u16..8, 0u16..20)
}

proptest! {
    #[test]
    fn no_chain_makes_it_panic_or_keep_a_buffer(
        descriptors in prop::collection::vec(descriptor(), 16),
        heads in prop::collection::vec(0u16..16, 0..16),
        kind in prop_oneof![3 => Just(READ), 1 => 0u32..16],
        sector in prop_oneof![4 => 0u64..24, 1 => any::<u64>()],
    ) {
        let mut guest = Guest::new();
        guest.write_header(kind, sector);
        for (i, (address, bytes, flags, next)) in descriptors.into_iter().enumerate() {
            guest.driver.store_descriptor(i as u16, address, bytes, flags, next);
        }
        for head in &heads {
            guest.driver.make_available(*head);
        }
        guest.block.serve();
        let used: Vec<_> = guest.driver.take_used().into_iter().map(|(head, _)| head).collect();
        prop_assert!(!guest.needs_reset());
        prop_assert_eq!(used, heads);
    }

    #[test]
    fn a_read_is_right_wherever_it_begins_and_however_it_is_cut(
        sector in 0u64..21,
        sectors in 1u64..21,
        cuts in prop::collection::vec(1u32..3000, 0..6),
    ) {
        let sectors = sectors.min(21 - sector);
        let mut guest = Guest::new();
        guest.write_header(READ, sector);
        let mut chain = vec![readable(HEADER, 16)];
        let bytes = sectors as u32 * 512;
        let mut at = 0;
        for cut in cuts {
            let cut = cut.min(bytes - at);
            chain.push(writable(DATA + u64::from(at), cut));
            at += cut;
        }
        chain.push(writable(DATA + u64::from(at), bytes - at));
        chain.push(writable(STATUS, 1));
        prop_assert_eq!(guest.request(&chain), (bytes + 1, OK));
        let start = sector as usize * 512;
        prop_assert_eq!(
            guest.driver.read(DATA, bytes as usize),
            &disk()[start..start + bytes as usize]
        );
        // Nothing behind it.
        prop_assert_eq!(guest.driver.read(DATA + u64::from(bytes), 512), [0; 512]);
    }
}
